/** What can be done with the whole analysis: take its result along, stop it, run it again. */
import { Button, Callout } from "@blueprintjs/core";
import { Refresh, Stop } from "@blueprintjs/icons";
import { useState } from "react";
import { useNavigate } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { useWords } from "../../words/words";
import { useCancelAnalysisMutation, useCreateAnalysisMutation, useRerunAnalysisMutation } from "./api";
import { Download } from "./Download";
import { words } from "./words";

export function Actions({ analysis, writes }: { analysis: AnalysisOut; writes: boolean }) {
  const t = useWords(words);
  const go = useNavigate();
  const { id: analysisId, status } = analysis;
  const [cancel, cancelling] = useCancelAnalysisMutation();
  const [rerun, rerunning] = useRerunAnalysisMutation();
  const [create, creating] = useCreateAnalysisMutation();
  const [problem, setProblem] = useState<unknown>();
  const over = status === "failed" || status === "cancelled";
  // One that had neither a model nor images to read would fail the same way.
  const again = over && analysis.series_id !== null && analysis.model.version !== null;

  const newest = async () => {
    const { data } = await create({ analysisRequest: { study_id: analysis.study_id, model: analysis.model.name } });
    if (data && data.id !== analysisId) void go(`/analyses/${data.id}`);
  };
  return (
    <div className="actions">
      {analysis.status === "completed" && <Download analysis={analysis} onProblem={setProblem} />}
      {writes && (status === "queued" || status === "running") && (
        <Button icon={<Stop />} loading={cancelling.isLoading} onClick={() => void cancel({ analysisId })}>
          {t.cancel}
        </Button>
      )}
      {writes && again && (
        <Button icon={<Refresh />} intent="primary" loading={rerunning.isLoading} onClick={() => void rerun({ analysisId })}>
          {t.rerun}
        </Button>
      )}
      {writes && (status === "completed" || (over && !again)) && (
        <Button icon={<Refresh />} loading={creating.isLoading} onClick={() => void newest()}>
          {t.newest}
        </Button>
      )}
      <div role="status">
        {creating.data?.id === analysisId && (
          <Callout compact intent="success">
            {t.newestThere}
          </Callout>
        )}
      </div>
      <ProblemNote problem={cancelling.error ?? rerunning.error ?? creating.error ?? problem} />
    </div>
  );
}
