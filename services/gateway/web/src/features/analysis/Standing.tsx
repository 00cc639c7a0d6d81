/** Where an analysis stands while it has no result: how far it is, or why it ended and what to do. */
import { Callout, ProgressBar } from "@blueprintjs/core";

import type { AnalysisOut } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { advice, inWords } from "./reasons";
import { words } from "./words";

export function Standing({ analysis: { status, slices_done: done, slices_total: total, error } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  return (
    <div role="status">
      {status === "queued" && (
        <Callout compact title={t.queued}>
          {t.waiting}
        </Callout>
      )}
      {status === "running" && (
        <Callout compact intent="primary" title={t.running}>
          <p>{t.working(done, total)}</p>
          <ProgressBar intent="primary" stripes={false} value={total ? done / total : 0} aria-label={t.progress} />
        </Callout>
      )}
      {status === "cancelled" && (
        <Callout compact title={t.cancelled}>
          {t.wasCancelled}
        </Callout>
      )}
      {status === "failed" && error && (
        <Callout compact intent="danger" title={t.failed}>
          <p>{inWords(error, language)}</p>
          <p>{advice(error.code, language)}</p>
        </Callout>
      )}
    </div>
  );
}
