/** Says of an analysis that another has taken its place, as soon as it has, and leads there. */
import { Callout } from "@blueprintjs/core";
import { Link } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { useWords } from "../../words/words";
import { useListAnalysesQuery } from "./api";
import { OF_STUDY, inItsPlace, isSuperseded } from "./place";
import { words } from "./words";

export function Superseded({ analysis }: { analysis: AnalysisOut }) {
  const t = useWords(words);
  const { data } = useListAnalysesQuery(OF_STUDY(analysis.study_id));
  const items = data?.items ?? [];
  if (!isSuperseded(analysis, items)) return <div role="status" />;
  const other = inItsPlace(analysis, items);
  const isNewer = other && other.created_at > analysis.created_at;
  return (
    <div role="status">
      <Callout compact intent="warning">
        <p>{other && other.study_version > analysis.study_version ? t.supersededImages : t.superseded}</p>
        {other && <Link to={`/analyses/${other.id}`}>{isNewer ? t.openNewer : t.openStanding}</Link>}
      </Callout>
    </div>
  );
}
