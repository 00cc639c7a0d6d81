import { Button } from "@blueprintjs/core";
import { Key } from "@blueprintjs/icons";

import { useAskToEnrolPasskeyMutation, useEnrolPasskeyMutation } from "../../api/api";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { makePasskey } from "../wayin/passkeys";
import { useAttempt } from "../wayin/useAttempt";
import { words } from "./words";

interface Props {
  token: string;
  onDone: (codes: string[]) => void;
}

export function AddPasskey({ token, onDone }: Props) {
  const t = useWords(words);
  const { attempt, busy, problem } = useAttempt();
  const [ask] = useAskToEnrolPasskeyMutation();
  const [enrol] = useEnrolPasskeyMutation();
  const start = async () => {
    const made = await attempt(async () => {
      const options = await ask({ enrol: { enrolment_token: token } }).unwrap();
      const credential = await makePasskey(options);
      return enrol({ passkeyEnrolment: { enrolment_token: token, credential } }).unwrap();
    });
    if (made) onDone(made.recovery_codes);
  };
  return (
    <>
      <p>{t.passkeyHelp}</p>
      <ProblemNote problem={problem} />
      <Button intent="primary" size="large" fill icon={<Key />} loading={busy} onClick={() => void start()}>
        {t.makePasskey}
      </Button>
    </>
  );
}
