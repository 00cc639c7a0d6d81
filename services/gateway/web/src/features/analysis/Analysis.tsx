/** One analysis: the images with what argues for its findings, and all that a reader has to know and may do. */
import "./analysis.css";

import { Callout, NonIdealState, Tag } from "@blueprintjs/core";
import { ArrowLeft } from "@blueprintjs/icons";
import { type ReactNode, Suspense, lazy, useCallback, useState } from "react";
import { Link, useParams } from "react-router";

import { api, useGetMeQuery } from "../../api/api";
import type { AnalysisOut, SliceList } from "../../api/generated";
import { type Problem, asProblem } from "../../api/problems";
import { useAppDispatch } from "../../app/store";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useLanguage, useWords } from "../../words/words";
import { Actions } from "./Actions";
import { useGetAnalysisQuery, useListSlicesQuery } from "./api";
import { Curve } from "./Curve";
import { Details } from "./Details";
import { Findings } from "./Findings";
import { ModelCard } from "./ModelCard";
import { Others } from "./Others";
import { Standing } from "./Standing";
import { foremost, when } from "./shown";
import { firstSlice, seriesOf } from "./viewer/series";
import { Warnings } from "./Warnings";
import { words } from "./words";

const Viewer = lazy(() => import("./viewer/Viewer"));
const INTENTS = { queued: "none", running: "primary", completed: "success", failed: "danger", cancelled: "none" } as const;

export default function Analysis() {
  const { id = "" } = useParams();
  return <AnalysisOf key={id} id={id} />;
}

function AnalysisOf({ id }: { id: string }) {
  const { data: me } = useGetMeQuery();
  const { data: analysis, error, refetch } = useGetAnalysisQuery({ analysisId: id });
  const { data: slices, error: noSlices, refetch: again } = useListSlicesQuery({ analysisId: id });
  const [chosen, setN] = useState<number>();
  const [label, setLabel] = useState<string>();
  if (!analysis) {
    return (
      <div className="analysis">
        <ProblemNote problem={error} retry={() => void refetch()} />
        {!error && <Skeleton lines={12} />}
      </div>
    );
  }
  const n = chosen ?? firstSlice(analysis, slices?.items.length ?? 0);
  const of = label ?? foremost(analysis.findings)?.label;
  return (
    <div className="analysis">
      <Title analysis={analysis}>
        <Actions analysis={analysis} writes={me?.role === "member" || me?.role === "admin"} />
      </Title>
      <div className="sides">
        <div className="left">
          {analysis.series_id === null ? (
            <NoImages />
          ) : (
            <>
              <ProblemNote problem={noSlices} retry={() => void again()} />
              {slices ? (
                <Images analysis={analysis} slices={slices} n={n} onN={setN} label={of} />
              ) : (
                !noSlices && <div className="images-dark bp6-dark bp6-skeleton" />
              )}
            </>
          )}
        </div>
        <div className="right">
          <Standing analysis={analysis} />
          <Warnings analysis={analysis} />
          {analysis.status === "completed" && me && (
            <Findings analysis={analysis} me={me} n={n} onN={setN} label={of} onLabel={setLabel} />
          )}
          <Others analysis={analysis} />
          <ModelCard model={analysis.model} />
          <Details analysis={analysis} />
        </div>
      </div>
    </div>
  );
}

function Title({ analysis, children }: { analysis: AnalysisOut; children: ReactNode }) {
  const { study_id: study, status, priority, created_at: created, model } = analysis;
  const t = useWords(words);
  const language = useLanguage();
  return (
    <div className="analysis-title">
      <Link to="/worklist" className="back">
        <ArrowLeft /> {t.back}
      </Link>
      <Heading>{t.title(study.slice(-8))}</Heading>
      {priority === "urgent" && <Tag intent="danger">{t.urgent}</Tag>}
      <Tag minimal intent={INTENTS[status]}>
        {t[status]}
      </Tag>
      <span className="quiet">
        {model.title ?? model.name} · {t.received} {when(created, language)}
      </span>
      {children}
    </div>
  );
}

function NoImages() {
  const t = useWords(words);
  return <NonIdealState title={t.noImages} description={t.noImagesHelp} />;
}

interface ImagesProps {
  analysis: AnalysisOut;
  slices: SliceList;
  n: number;
  onN: (n: number) => void;
  label: string | undefined;
}

function Images({ analysis, slices, n, onN, label }: ImagesProps) {
  const dispatch = useAppDispatch();
  const [problem, setProblem] = useState<Problem>();
  const [series] = useState(() => seriesOf(analysis.id, slices)); // how they lie doesn't change when the result comes
  const go = useCallback(
    (to: number) => onN(Math.max(0, Math.min(slices.items.length - 1, to))),
    [onN, slices.items.length],
  );
  const onProblem = (found: Problem) => {
    if (found.status === 401) dispatch(api.util.invalidateTags(["me"]));
    setProblem(asProblem(found));
  };
  const readLabel = slices.items.some(({ analysed }) => analysed) ? label : undefined;
  return (
    <div className="images-dark bp6-dark">
      <Suspense fallback={<div className="viewer-coming bp6-skeleton" />}>
        <Viewer series={series} slices={slices.items} n={n} onN={go} label={readLabel} onProblem={onProblem} />
      </Suspense>
      <Curve slices={slices.items} label={readLabel} top={analysis.top_slices} n={n} onN={go} />
      {problem?.status === 0 && (
        <Callout compact intent="warning">
          {problem.title}
        </Callout>
      )}
    </div>
  );
}
