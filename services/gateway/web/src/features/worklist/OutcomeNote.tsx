/** What was just done, what stayed as it was and why, and the way back. It stays until it is dismissed. */
import { Button } from "@blueprintjs/core";
import { Cross, Undo } from "@blueprintjs/icons";

import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import type { Bulk } from "./useBulk";
import { words } from "./words";

export function OutcomeNote({ bulk: { outcome, problem, busy, undo, dismiss } }: { bulk: Bulk }) {
  const t = useWords(words);
  return (
    <>
      <ProblemNote problem={problem} />
      <div role="status" className="outcome-place">
        {outcome && (
          <div className="outcome">
            <span>
              {outcome.text}
              {outcome.refused > 0 && ` ${t.refused(outcome.refused)} ${outcome.reasons.join(" ")}`}
            </span>
            {outcome.undo.length > 0 && (
              <Button size="small" icon={<Undo />} disabled={busy} onClick={() => void undo(t.undone)}>
                {t.undo}
              </Button>
            )}
            <Button size="small" variant="minimal" icon={<Cross />} aria-label={t.dismiss} onClick={dismiss} />
          </div>
        )}
      </div>
    </>
  );
}
