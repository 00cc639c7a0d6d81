import { ProgressBar, Tag } from "@blueprintjs/core";
import { FolderClose, WarningSign } from "@blueprintjs/icons";
import { memo } from "react";
import { Link } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { foremost } from "../../parts/foremost";
import { ShortFinding } from "../../parts/ShortFinding";
import { StateTags } from "../../parts/StateTags";
import { useLanguage, useWords } from "../../words/words";
import { inWords } from "../analysis/reasons";
import { Accession, Patient } from "./Patient";
import { words } from "./words";

interface Props {
  analysis: AnalysisOut;
  patients: boolean;
  /** While rows fly by, nobody reads them: identities aren't asked for. */
  moving: boolean;
}

export const Row = memo(function Row({ analysis, patients, moving }: Props) {
  const t = useWords(words);
  const language = useLanguage();
  const { status, slices_done: done, slices_total: total } = analysis;
  return (
    <>
      <span role="gridcell" className="states">
        <StateTags analysis={analysis} />
        {status === "running" && total > 0 && (
          <span title={t.slices(done, total)}>
            <ProgressBar intent="primary" value={done / total} aria-label={t.progress} stripes={false} />
          </span>
        )}
      </span>
      <span role="gridcell" className="finding">
        <Finding analysis={analysis} />
      </span>
      {patients && (
        <span role="gridcell" className="patient">
          <Patient studyId={analysis.study_id} moving={moving} />
        </span>
      )}
      <span role="gridcell" className="study" title={analysis.study_id}>
        <Link to={`/analyses/${analysis.id}`} tabIndex={-1}>
          {patients ? <Accession studyId={analysis.study_id} moving={moving} /> : analysis.study_id.slice(-8)}
        </Link>
        {analysis.superseded && <span className="quiet"> {t.superseded}</span>}
      </span>
      <span role="gridcell" className="marks">
        {analysis.tags.map((tag) => (
          <Tag key={tag} minimal round title={tag}>
            {tag}
          </Tag>
        ))}
        {analysis.folder && (
          <span className="quiet" title={analysis.folder}>
            <FolderClose size={12} /> {analysis.folder}
          </span>
        )}
      </span>
      <span role="gridcell" className="model">
        {analysis.model.title ?? analysis.model.name}
      </span>
      <span role="gridcell" className="when quiet">
        <time dateTime={analysis.created_at}>{when(analysis.created_at, language)}</time>
      </span>
    </>
  );
});

function Finding({ analysis: { findings, error, warnings } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  if (error) {
    const why = inWords(error, language);
    return (
      <span className="quiet" title={why}>
        {why}
      </span>
    );
  }
  const first = foremost(findings);
  if (!first) return null;
  return (
    <>
      <ShortFinding finding={first} />
      {warnings.length > 0 && (
        <Tag
          minimal
          intent="warning"
          icon={<WarningSign size={12} />}
          aria-label={t.warnings(warnings.length)}
          title={warnings.map((each) => inWords(each, language)).join("\n")}
        >
          {warnings.length}
        </Tag>
      )}
    </>
  );
}

/** The year only where it is another than this. */
function when(iso: string, language: string): string {
  const time = new Date(iso);
  const year = time.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" as const };
  return time.toLocaleString(language, { ...year, month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}
