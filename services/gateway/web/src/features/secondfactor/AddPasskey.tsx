import { Button } from "@blueprintjs/core";
import { Key } from "@blueprintjs/icons";
import { useState } from "react";

import { useAskToEnrolPasskeyMutation, useEnrolPasskeyMutation } from "../../api/api";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { makePasskey } from "../wayin/passkeys";
import { words } from "./words";

interface Props {
  token: string;
  onDone: (codes: string[]) => void;
}

export function AddPasskey({ token, onDone }: Props) {
  const t = useWords(words);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const [ask] = useAskToEnrolPasskeyMutation();
  const [enrol] = useEnrolPasskeyMutation();
  const start = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      const options = await ask({ enrol: { enrolment_token: token } }).unwrap();
      const credential = await makePasskey(options);
      const made = await enrol({ passkeyEnrolment: { enrolment_token: token, credential } }).unwrap();
      onDone(made.recovery_codes);
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
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
