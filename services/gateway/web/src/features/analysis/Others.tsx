/** Other analyses of the same study, and whether a newer one has taken this one's place. */
import { Callout, SectionCard } from "@blueprintjs/core";
import { Link } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { findingName } from "../../words/findings";
import { useLanguage, useWords } from "../../words/words";
import { useListAnalysesQuery } from "./api";
import { Part } from "./Part";
import { foremost, percent, when } from "./shown";
import { words } from "./words";

export function Others({ analysis }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const { data } = useListAnalysesQuery({ studyId: analysis.study_id, limit: 50 });
  const others = (data?.items ?? []).filter(({ id }) => id !== analysis.id);
  const newer = others.find(({ superseded, model }) => !superseded && model.name === analysis.model.name);
  return (
    <>
      {analysis.superseded && (
        <Callout compact intent="warning">
          <p>{newer && newer.study_version > analysis.study_version ? t.supersededImages : t.superseded}</p>
          {newer && <Link to={`/analyses/${newer.id}`}>{t.openNewer}</Link>}
        </Callout>
      )}
      {others.length > 0 && (
        <Part collapsible title={t.priors}>
          <SectionCard>
            <ul className="others">
              {others.map((each) => (
                <li key={each.id}>
                  <Link to={`/analyses/${each.id}`}>{when(each.created_at, language)}</Link>
                  <span>
                    {each.model.title ?? each.model.name} {each.model.version}
                  </span>
                  <Outcome analysis={each} />
                </li>
              ))}
            </ul>
          </SectionCard>
        </Part>
      )}
    </>
  );
}

function Outcome({ analysis: { findings, status } }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const language = useLanguage();
  const first = foremost(findings);
  if (!first) return <span className="quiet">{t[status]}</span>;
  return (
    <span className={first.positive ? "positive" : ""}>
      {findingName(first.label)} {percent(first.probability, language)}
    </span>
  );
}
