/** Where the mailed link of a request leads. A button, so that a mail scanner that opens links uses none up. */
import { Button } from "@blueprintjs/core";
import { Link } from "react-router";

import { useConfirmAccessRequestMutation } from "../../api/api";
import { Done } from "../../parts/Done";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useLinkToken } from "../../parts/token";
import { useWords } from "../../words/words";
import { words } from "./words";

export default function ConfirmAddress() {
  const t = useWords(words);
  const token = useLinkToken();
  const [confirm, { data, isLoading, error }] = useConfirmAccessRequestMutation();
  if (data) {
    return (
      <Done title={t.confirmed} help={t[data.state]}>
        {data.state === "member" && (
          <p className="links">
            <Link to="/login">{t.login}</Link>
          </p>
        )}
      </Done>
    );
  }
  return (
    <>
      <Heading>{t.title}</Heading>
      <ProblemNote problem={error} />
      {token ? (
        <>
          <p>{t.intro}</p>
          <Button
            intent="primary"
            size="large"
            fill
            loading={isLoading}
            onClick={() => void confirm({ linkToken: { token } })}
          >
            {t.confirm}
          </Button>
        </>
      ) : (
        <p>{t.incomplete}</p>
      )}
      {(error || !token) && (
        <p className="links">
          <Link to="/access/request">{t.again}</Link>
        </p>
      )}
    </>
  );
}
