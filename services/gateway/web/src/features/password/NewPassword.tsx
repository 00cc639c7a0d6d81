/** Where the mailed link of a forgotten password leads. */
import { Button } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";
import { Link } from "react-router";

import { useResetPasswordMutation } from "../../api/api";
import { Done } from "../../parts/Done";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useLinkToken } from "../../parts/token";
import { useWords } from "../../words/words";
import { NewPasswordField } from "./NewPasswordField";
import { words } from "./words";

export default function NewPassword() {
  const t = useWords(words);
  const token = useLinkToken();
  const [password, setPassword] = useState("");
  const [set, { isLoading, isSuccess, error }] = useResetPasswordMutation();
  if (isSuccess) {
    return (
      <Done title={t.changed} help={t.changedHelp}>
        <p className="links">
          <Link to="/login">{t.login}</Link>
        </p>
      </Done>
    );
  }
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void set({ reset: { token, password } });
  };
  return (
    <>
      <Heading>{t.new}</Heading>
      {token ? (
        <form onSubmit={submit}>
          <ProblemNote problem={error} />
          <NewPasswordField value={password} onValue={setPassword} />
          <Button type="submit" intent="primary" size="large" fill loading={isLoading}>
            {t.save}
          </Button>
        </form>
      ) : (
        <p>{t.incomplete}</p>
      )}
      {(error || !token) && (
        <p className="links">
          <Link to="/access/forgotten">{t.again}</Link>
        </p>
      )}
    </>
  );
}
