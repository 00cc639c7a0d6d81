import { Intent, ProgressBar, Tag } from "@blueprintjs/core";
import { memo } from "react";
import { Link } from "react-router";

import type { AnalysisOut, Status } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { foremost } from "./rows";
import { findingName } from "../../words/findings";
import { words } from "./words";

const INTENTS: Record<Status, Intent> = {
  queued: Intent.NONE,
  running: Intent.PRIMARY,
  completed: Intent.SUCCESS,
  failed: Intent.DANGER,
  cancelled: Intent.NONE,
};

export const Row = memo(function Row({ analysis }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const { status, slices_done: done, slices_total: total } = analysis;
  return (
    <>
      <span role="gridcell" className="states">
        {analysis.priority === "urgent" && <Tag intent="danger">{t.urgent}</Tag>}
        <Tag minimal intent={INTENTS[status]}>
          {t[status]}
        </Tag>
        {status === "running" && total > 0 && (
          <ProgressBar intent="primary" value={done / total} aria-label={t.progress} stripes={false} />
        )}
      </span>
      <span role="gridcell" className="finding">
        <Finding analysis={analysis} />
      </span>
      <span role="gridcell" className="study" title={analysis.study_id}>
        <Link to={`/analyses/${analysis.id}`} tabIndex={-1}>
          {analysis.study_id.slice(-8)}
        </Link>
        {analysis.superseded && <span className="quiet"> {t.superseded}</span>}
      </span>
      <span role="gridcell">{analysis.model.title ?? analysis.model.name}</span>
      <span role="gridcell" className="number">
        {status === "running" ? `${done} / ${total}` : total || ""}
      </span>
      <span role="gridcell" className="quiet">
        <time dateTime={analysis.created_at}>{when(analysis.created_at, language)}</time>
      </span>
    </>
  );
});

function Finding({ analysis: { findings, error, warnings } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  if (error) return <span className="quiet">{error.detail}</span>;
  const first = foremost(findings);
  if (!first) return null;
  return (
    <>
      <strong className={first.positive ? "positive" : ""}>{findingName(first.label)}</strong> {Math.round(first.probability * 100)} %
      {warnings.length > 0 && (
        <Tag minimal intent="warning" title={warnings.map(({ detail }) => detail).join("\n")}>
          {t.warnings(warnings.length)}
        </Tag>
      )}
    </>
  );
}

function when(iso: string, language: string): string {
  return new Date(iso).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}
