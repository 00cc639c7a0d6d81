/** One analysis: the images with what argues for its findings, and all that a reader has to know and may do. */
import "./analysis.css";

import { ArrowLeft } from "@blueprintjs/icons";
import { type ReactNode, useState } from "react";
import { Link, useParams } from "react-router";

import { useGetMeQuery } from "../../api/api";
import type { AnalysisOut } from "../../api/generated";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { StateTags } from "../../parts/StateTags";
import { amended, useAddress } from "../../parts/useAddress";
import { when } from "../../words/when";
import { useLanguage, useWords } from "../../words/words";
import { Actions } from "./Actions";
import { useGetAnalysisQuery, useListSlicesQuery } from "./api";
import { Comparison } from "./Comparison";
import { Details } from "./Details";
import { Findings } from "./Findings";
import { ModelCard } from "./ModelCard";
import { Notes } from "./Notes";
import { Others } from "./Others";
import { NoImages, Sides } from "./Sides";
import { Standing } from "./Standing";
import { foremost } from "../../parts/foremost";
import { Superseded } from "./Superseded";
import { firstSlice } from "./viewer/series";
import { Warnings } from "./Warnings";
import { words } from "./words";


export default function Analysis() {
  const { id = "" } = useParams();
  return <AnalysisOf key={id} id={id} />;
}

function AnalysisOf({ id }: { id: string }) {
  const { data: me } = useGetMeQuery();
  const { data: analysis, error, refetch } = useGetAnalysisQuery({ analysisId: id });
  const { data: slices, error: noSlices, refetch: again } = useListSlicesQuery({ analysisId: id });
  const other = useOther();
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
        {analysis.series_id === null && <NoImages />}
        {analysis.series_id !== null && slices && (
          <Sides one={{ analysis, slices }} n={n} onN={setN} label={of} other={other.pictured} />
        )}
        {analysis.series_id !== null && !slices && (
          <div className="left">
            <ProblemNote problem={noSlices} retry={() => void again()} />
            {!noSlices && <div className="images-dark bp6-dark bp6-skeleton" />}
          </div>
        )}
        <div className="right">
          <Superseded analysis={analysis} />
          <Standing analysis={analysis} />
          <Warnings analysis={analysis} />
          {other.id && <Comparison one={analysis} other={other.pictured?.analysis} error={other.error} onEnd={() => other.choose()} />}
          {analysis.status === "completed" && me && (
            <Findings analysis={analysis} me={me} n={n} onN={setN} label={of} onLabel={setLabel} />
          )}
          {me && <Notes analysisId={id} me={me} />}
          <Others analysis={analysis} compared={other.id} onCompare={other.choose} />
          <ModelCard model={analysis.model} />
          <Details analysis={analysis} />
        </div>
      </div>
    </div>
  );
}

/** The analysis that this one is compared with; the address names it. */
function useOther() {
  const [parameters, change] = useAddress();
  const id = parameters.get("with") ?? "";
  const skip = { skip: !id };
  const { currentData: analysis, error } = useGetAnalysisQuery({ analysisId: id }, skip);
  const { currentData: slices, error: noSlices } = useListSlicesQuery({ analysisId: id }, skip);
  const choose = (other?: string) => change((now) => amended(now, { with: other ?? "" }));
  const pictured = analysis && slices ? { analysis, slices } : undefined;
  return { id, pictured, error: error ?? noSlices, choose };
}

function Title({ analysis, children }: { analysis: AnalysisOut; children: ReactNode }) {
  const { study_id: study, created_at: created, model } = analysis;
  const t = useWords(words);
  const language = useLanguage();
  return (
    <div className="analysis-title">
      <Link to="/worklist" className="back">
        <ArrowLeft /> {t.back}
      </Link>
      <Heading>{t.title(study.slice(-8))}</Heading>
      <StateTags analysis={analysis} />
      <span className="quiet">
        {model.title ?? model.name} · {t.received} {when(created, language)}
      </span>
      {children}
    </div>
  );
}
