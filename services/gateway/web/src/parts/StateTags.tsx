/** Where an analysis stands: its state, and that it is urgent. */
import { Intent, Tag } from "@blueprintjs/core";

import type { AnalysisOut, Status } from "../api/generated";
import { stateWords } from "../words/states";
import { useWords } from "../words/words";

const INTENTS: Record<Status, Intent> = {
  queued: Intent.NONE,
  running: Intent.PRIMARY,
  completed: Intent.SUCCESS,
  failed: Intent.DANGER,
  cancelled: Intent.NONE,
};

export function StateTags({ analysis: { priority, status } }: { analysis: AnalysisOut }) {
  const t = useWords(stateWords);
  return (
    <>
      {priority === "urgent" && <Tag intent="danger">{t.urgent}</Tag>}
      <Tag minimal intent={INTENTS[status]}>
        {t[status]}
      </Tag>
    </>
  );
}
