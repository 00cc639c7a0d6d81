/** What was just done, what stayed as it was and why, and the way back. It stays until it is dismissed. */
import { Button } from "@blueprintjs/core";
import { Cross, Undo } from "@blueprintjs/icons";

import type { Reason } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { inWords } from "../../words/problems";
import { useLanguage, useWords } from "../../words/words";
import type { Bulk } from "./useBulk";
import { words } from "./words";

export function OutcomeNote({ bulk: { outcome, problem, busy, undo, dismiss } }: { bulk: Bulk }) {
  const t = useWords(words);
  const language = useLanguage();
  const said = ({ code, detail }: Reason) => inWords({ type: code, status: 409, title: detail }, language);
  return (
    <>
      <ProblemNote problem={problem} />
      <div role="status" className="outcome-place">
        {outcome && (
          <div className="outcome">
            <span>
              {outcome.text}
              {outcome.refused > 0 && ` ${t.refused(outcome.refused)} ${outcome.reasons.map(said).join(" ")}`}
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
