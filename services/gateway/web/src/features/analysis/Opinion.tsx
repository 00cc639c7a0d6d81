import { Button, Checkbox, Radio, RadioGroup } from "@blueprintjs/core";
import { type SyntheticEvent, useId, useState } from "react";

import type { Said, Says } from "../../api/generated";
import { LongField } from "../../parts/LongField";
import { useWords } from "../../words/words";
import { words } from "./words";

interface Props {
  title: string;
  start: Says;
  /** The slice in sight. */
  n: number;
  busy: boolean;
  onSend: (said: Said) => void;
  onDismiss: () => void;
}

const ANSWERS: readonly Says[] = ["present", "absent", "unsure"];

/** What somebody sees: whether it is there, on which slice, and in words. */
export function Opinion({ title, start, n, busy, onSend, onDismiss }: Props) {
  const t = useWords(words);
  const id = useId();
  const [says, setSays] = useState(start);
  const [marked, setMarked] = useState(false);
  const [comment, setComment] = useState("");
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    onSend({ says, ...(marked && { slices: [n] }), ...(comment.trim() && { comment: comment.trim() }) });
  };
  return (
    <form className="opinion" aria-label={title} onSubmit={submit}>
      <RadioGroup
        label={t.says}
        name={`${id}-says`}
        selectedValue={says}
        onChange={({ currentTarget }) => setSays(currentTarget.value as Says)}
      >
        {ANSWERS.map((each) => (
          <Radio key={each} value={each} label={t[each]} autoFocus={each === start} />
        ))}
      </RadioGroup>
      <Checkbox checked={marked} label={t.markSlice(n + 1)} onChange={({ currentTarget }) => setMarked(currentTarget.checked)} />
      <LongField label={t.comment} hint={t.commentHelp} maxLength={2000} value={comment} onValue={setComment} />
      <div className="finding-tools">
        <Button type="submit" intent="primary" size="small" loading={busy}>
          {t.send}
        </Button>
        <Button size="small" onClick={onDismiss}>
          {t.dismiss}
        </Button>
      </div>
    </form>
  );
}
