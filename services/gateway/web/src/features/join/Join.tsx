/** Accepting an invitation: read the terms, choose a password; the second factor follows. */
import { Button, Checkbox } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";
import { useNavigate } from "react-router";

import { useAcceptInvitationMutation, useGetTermsQuery } from "../../api/api";
import { useAppDispatch } from "../../app/store";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { TermsText } from "../../parts/TermsText";
import { useLinkToken } from "../../parts/token";
import { useWords } from "../../words/words";
import { NewPasswordField } from "../password/NewPasswordField";
import { enrolmentBegun } from "../wayin/slice";
import { words } from "./words";

export default function Join() {
  const t = useWords(words);
  const token = useLinkToken();
  const [password, setPassword] = useState("");
  const [agreed, setAgreed] = useState(false);
  const { data: terms, error: unread } = useGetTermsQuery();
  const [accept, { isLoading, error }] = useAcceptInvitationMutation();
  const dispatch = useAppDispatch();
  const navigate = useNavigate();

  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (!terms) return;
    const { data } = await accept({ acceptance: { token, password, terms_version: terms.version } });
    if (!data) return;
    dispatch(enrolmentBegun(data.enrolment_token));
    await navigate("/access/second-factor", { replace: true });
  };
  return (
    <>
      <Heading>{t.title}</Heading>
      {token ? (
        <form onSubmit={(event) => void submit(event)}>
          <p>{t.intro}</p>
          <ProblemNote problem={error ?? unread} />
          <NewPasswordField value={password} onValue={setPassword} />
          <h2>{t.terms}</h2>
          <TermsText terms={terms} />
          <Checkbox required checked={agreed} onChange={() => setAgreed(!agreed)} label={t.agree} />
          <Button type="submit" intent="primary" size="large" fill loading={isLoading} disabled={!terms}>
            {t.next}
          </Button>
        </form>
      ) : (
        <p>{t.incomplete}</p>
      )}
    </>
  );
}
