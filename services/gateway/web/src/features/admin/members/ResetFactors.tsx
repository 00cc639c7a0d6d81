import { useState } from "react";

import { useResetFactorsMutation } from "../../../api/api";
import type { Member } from "../../../api/generated";
import { Ask } from "../../../parts/Ask";
import { Field } from "../../../parts/Field";
import { useTell } from "../../../parts/useTell";
import { useWords } from "../../../words/words";
import { words } from "./words";

export function ResetFactors({ member: { id, name }, onClose }: { member: Member; onClose: () => void }) {
  const t = useWords(words);
  const tell = useTell();
  const [reason, setReason] = useState("");
  const [reset] = useResetFactorsMutation();
  const go = async () => {
    await reset({ memberId: id, factorReset: { reason: reason.trim() } }).unwrap();
    tell.done(t.resetDone(name));
    onClose();
  };
  return (
    <Ask title={t.resetTitle(name)} go={t.resetGo} danger ready={reason.trim() !== ""} onGo={go} onClose={onClose}>
      <p>{t.resetHelp}</p>
      <Field label={t.why} hint={t.whyHint} autoFocus required maxLength={200} value={reason} onValue={setReason} />
    </Ask>
  );
}
