/** Images with the curve of their scores; two of these stand side by side where analyses are compared. */
import { Suspense, lazy, useCallback } from "react";

import { api } from "../../api/api";
import type { AnalysisOut, SliceList } from "../../api/generated";
import type { Problem } from "../../api/problems";
import { useAppDispatch } from "../../app/store";
import { Curve } from "./Curve";
import type { Series } from "./viewer/series";

const Viewer = lazy(() => import("./viewer/Viewer"));

interface Props {
  analysis: AnalysisOut;
  slices: SliceList;
  series: Series;
  n: number;
  onN: (n: number) => void;
  label: string | undefined;
  /** Which of two this is. */
  title?: string;
}

export function Images({ analysis, slices: { items }, series, n, onN, label, title }: Props) {
  const dispatch = useAppDispatch();
  const last = items.length - 1;
  const go = useCallback((to: number) => onN(Math.max(0, Math.min(last, to))), [onN, last]);
  const onProblem = ({ status }: Problem) => {
    if (status === 401) dispatch(api.util.invalidateTags(["me"])); // as for what the store asks itself
  };
  const read = items.some(({ analysed }) => analysed) ? label : undefined;
  return (
    <div className="images-dark bp6-dark">
      {title && <h2>{title}</h2>}
      <Suspense fallback={<div className="viewer-coming bp6-skeleton" />}>
        <Viewer series={series} slices={items} n={n} onN={go} label={read} title={title} onProblem={onProblem} />
      </Suspense>
      <Curve slices={items} label={read} top={analysis.top_slices} n={n} onN={go} title={title} />
    </div>
  );
}
