/** Other analyses of this study and of the same patient's other studies, to open or to compare with. */
import { Button, SectionCard } from "@blueprintjs/core";
import { Comparison } from "@blueprintjs/icons";
import { Link } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { findingName } from "../../words/findings";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { useGetStudyQuery, useListAnalysesQuery, useListStudiesQuery } from "./api";
import { Part } from "./Part";
import { OF_STUDY } from "./place";
import { foremost } from "../../parts/foremost";
import { percent } from "./shown";
import { words } from "./words";

interface Props {
  analysis: AnalysisOut;
  /** The one that is compared with now. */
  compared: string;
  onCompare: (id: string) => void;
}

const STUDIES = 10;

export function Others({ analysis, compared, onCompare }: Props) {
  const t = useWords(words);
  const { data } = useListAnalysesQuery(OF_STUDY(analysis.study_id));
  const { data: study } = useGetStudyQuery({ studyId: analysis.study_id });
  const patientId = study?.patient_id ?? "";
  const { data: studies } = useListStudiesQuery({ patientId, limit: STUDIES }, { skip: !patientId });
  const others = (data?.items ?? []).filter(({ id }) => id !== analysis.id);
  const further = (studies?.items ?? []).filter(({ id }) => id !== analysis.study_id);
  const rest = { compared, onCompare };
  return (
    (others.length > 0 || further.length > 0) && (
      <Part title={t.priors}>
        <SectionCard>
          {others.length > 0 && <Listed title={t.sameStudy} items={others} {...rest} />}
          {further.map(({ id, created_at: received }) => (
            <OfStudy key={id} studyId={id} received={received} {...rest} />
          ))}
        </SectionCard>
      </Part>
    )
  );
}

type Rest = Omit<Props, "analysis">;

function OfStudy({ studyId, received, ...rest }: Rest & { studyId: string; received: string }) {
  const t = useWords(words);
  const language = useLanguage();
  const { data } = useListAnalysesQuery(OF_STUDY(studyId));
  const items = (data?.items ?? []).filter(({ superseded }) => !superseded);
  return items.length > 0 && <Listed title={t.samePatient(when(received, language))} items={items} {...rest} />;
}

function Listed({ title, items, compared, onCompare }: Rest & { title: string; items: AnalysisOut[] }) {
  const t = useWords(words);
  const language = useLanguage();
  return (
    <>
      <h3 className="group">{title}</h3>
      <ul className="others">
        {items.map((each) => {
          const at = when(each.created_at, language);
          return (
            <li key={each.id}>
              <Link to={`/analyses/${each.id}`}>{at}</Link>
              <Outcome analysis={each} />
              <Button
                size="small"
                variant="minimal"
                icon={<Comparison />}
                aria-label={t.compareWith(at)}
                title={t.compareWith(at)}
                disabled={each.series_id === null || each.id === compared}
                onClick={() => onCompare(each.id)}
              />
              <span className="quiet">
                {each.model.title ?? each.model.name} {each.model.version}
              </span>
            </li>
          );
        })}
      </ul>
    </>
  );
}

function Outcome({ analysis: { findings, status, superseded } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const first = foremost(findings);
  return (
    <span>
      {first ? (
        <span className={first.positive ? "positive" : ""}>
          {findingName(first.label)} {percent(first.probability, language)}
        </span>
      ) : (
        <span className="quiet">{t[status]}</span>
      )}
      {superseded && <span className="quiet"> {t.isSuperseded}</span>}
    </span>
  );
}
