/** Asking for a link to set another password. */
import { Button } from "@blueprintjs/core";
import { type SyntheticEvent, useState } from "react";
import { Link } from "react-router";

import { useAskForPasswordResetMutation } from "../../api/api";
import { Done } from "../../parts/Done";
import { Field } from "../../parts/Field";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { words } from "./words";

export default function ForgottenPassword() {
  const t = useWords(words);
  const [email, setEmail] = useState("");
  const [ask, { isLoading, isSuccess, error }] = useAskForPasswordResetMutation();
  const back = (
    <p className="links">
      <Link to="/login">{t.login}</Link>
    </p>
  );
  if (isSuccess) {
    return (
      <Done title={t.sent} help={t.sentHelp(email)}>
        {back}
      </Done>
    );
  }
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    void ask({ resetWish: { email: email.trim() } });
  };
  return (
    <>
      <Heading>{t.forgotten}</Heading>
      <form onSubmit={submit}>
        <p>{t.forgottenHelp}</p>
        <ProblemNote problem={error} />
        <Field
          label={t.email}
          type="email"
          name="email"
          autoComplete="username"
          required
          autoFocus
          value={email}
          onValue={setEmail}
        />
        <Button type="submit" intent="primary" size="large" fill loading={isLoading}>
          {t.send}
        </Button>
      </form>
      {back}
    </>
  );
}
