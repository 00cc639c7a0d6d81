/** A study that was taken, and its analyses, live. */
import { ProgressBar, Tag } from "@blueprintjs/core";
import { Link } from "react-router";

import { useListAnalysesQuery } from "../../api/api";
import type { AnalysisOut, StudyOfUpload } from "../../api/generated";
import { foremost } from "../../parts/foremost";
import { ProblemNote } from "../../parts/ProblemNote";
import { ShortFinding } from "../../parts/ShortFinding";
import { Skeleton } from "../../parts/Skeleton";
import { StateTags } from "../../parts/StateTags";
import { useLanguage, useWords } from "../../words/words";
import { inWords } from "../analysis/reasons";
import { words as ofStates } from "../worklist/words";
import { words } from "./words";

const MOST = 200;

export function TakenStudy({ study, uploadId }: { study: StudyOfUpload; uploadId: string }) {
  const t = useWords(words);
  const about = { studyId: study.study_id, limit: MOST };
  const { data, error, refetch } = useListAnalysesQuery(about, { refetchOnMountOrArgChange: true });
  const analyses = data && ofThis(data.items, study, uploadId);
  return (
    <section className="taken" aria-label={t.study(study.study_id.slice(-8))}>
      <h2>
        {t.study(study.study_id.slice(-8))} <span className="quiet">{t.studySlices(study.instances)}</span>
      </h2>
      <ProblemNote problem={error} retry={() => void refetch()} />
      {!analyses && !error && <Skeleton lines={1} />}
      {analyses?.length === 0 && <p className="quiet">{t.queuedForAnalysis}</p>}
      {analyses?.map((analysis) => (
        <OneAnalysis key={analysis.id} analysis={analysis} />
      ))}
    </section>
  );
}

/** Those that this upload brought about; of a study that was known already, those it has. */
function ofThis(items: readonly AnalysisOut[], study: StudyOfUpload, uploadId: string): AnalysisOut[] {
  const brought = items.filter(({ upload_id }) => upload_id === uploadId);
  return brought.length > 0 ? brought : items.filter(({ study_version, superseded }) => study_version === study.version && !superseded);
}

function OneAnalysis({ analysis }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const states = useWords(ofStates);
  const language = useLanguage();
  const { id, status, model, slices_done: done, slices_total: all, findings, warnings, error, superseded } = analysis;
  const first = foremost(findings);
  return (
    <div className="taken-analysis">
      <span className="taken-state">
        <StateTags analysis={analysis} />
        {status === "running" && all > 0 && <ProgressBar intent="primary" value={done / all} stripes={false} aria-label={states.progress} />}
      </span>
      <span>{model.title ?? model.name}</span>
      <span>
        {first && <ShortFinding finding={first} />}
        {warnings.length > 0 && (
          <Tag minimal intent="warning" title={warnings.map((each) => inWords(each, language)).join("\n")}>
            {states.warnings(warnings.length)}
          </Tag>
        )}
        {error && <span className="quiet">{inWords(error, language)}</span>}
        {superseded && <span className="quiet"> {states.superseded}</span>}
      </span>
      <Link to={`/analyses/${id}`}>{t.openAnalysis}</Link>
    </div>
  );
}
