import { useState } from "react";

import { useRenameFactorMutation } from "../../api/api";
import type { Factor } from "../../api/generated";
import { Ask } from "../../parts/Ask";
import { Field } from "../../parts/Field";
import { useWords } from "../../words/words";
import { words } from "./words";

export function RenameFactor({ factor, onClose }: { factor: Factor; onClose: () => void }) {
  const t = useWords(words);
  const [name, setName] = useState(factor.name);
  const [rename] = useRenameFactorMutation();
  const go = async () => {
    if (name.trim() !== factor.name) {
      await rename({ factorId: factor.id, factorChange: { name: name.trim() } }).unwrap();
    }
    onClose();
  };
  return (
    <Ask title={t.nameTitle} go={t.save} ready={name.trim() !== ""} onGo={go} onClose={onClose}>
      <Field label={t.name} hint={t.nameHint} autoFocus required maxLength={200} value={name} onValue={setName} />
    </Ask>
  );
}
