import { Button } from "@blueprintjs/core";
import { Key } from "@blueprintjs/icons";
import { type SyntheticEvent, useState } from "react";
import { Link, useNavigate } from "react-router";

import { useLogInMutation } from "../../api/api";
import { useAppDispatch } from "../../app/store";
import { Field } from "../../parts/Field";
import { Heading } from "../../parts/Heading";
import { PasswordField } from "../../parts/PasswordField";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { canUsePasskeys } from "../wayin/passkeys";
import { enrolmentBegun } from "../wayin/slice";
import { useAttempt } from "../wayin/useAttempt";
import type { Second } from "./SecondStep";
import { usePasskeyLogin } from "./usePasskeyLogin";
import { words } from "./words";

interface Props {
  onSecond: (second: Second) => void;
  onDone: () => Promise<void>;
}

export function PasswordStep({ onSecond, onDone }: Props) {
  const t = useWords(words);
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [logIn, { isLoading, error }] = useLogInMutation();
  const passkey = useAttempt();
  const logInWithPasskey = usePasskeyLogin();
  const dispatch = useAppDispatch();
  const navigate = useNavigate();

  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    passkey.reset();
    const { data: step } = await logIn({ login: { email: email.trim(), password } });
    if (step?.enrolment_token) {
      dispatch(enrolmentBegun(step.enrolment_token));
      await navigate("/access/second-factor");
    } else if (step?.mfa_token) {
      onSecond({ token: step.mfa_token, methods: step.methods ?? [] });
    }
  };

  const withPasskey = () =>
    passkey.attempt(async () => {
      await logInWithPasskey();
      await onDone();
    });

  return (
    <>
      <Heading>{t.title}</Heading>
      <form onSubmit={(event) => void submit(event)}>
        <ProblemNote problem={passkey.problem ?? error} />
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
        <PasswordField
          label={t.password}
          name="password"
          autoComplete="current-password"
          required
          value={password}
          onValue={setPassword}
        />
        <Button type="submit" intent="primary" size="large" fill loading={isLoading}>
          {t.next}
        </Button>
      </form>
      {canUsePasskeys() && (
        <>
          <div className="or">{t.or}</div>
          <Button icon={<Key />} size="large" fill loading={passkey.busy} onClick={() => void withPasskey()}>
            {t.passkeyAlone}
          </Button>
        </>
      )}
      <p className="links">
        <Link to="/access/forgotten">{t.forgotten}</Link>
        <Link to="/access/request">{t.request}</Link>
      </p>
    </>
  );
}
