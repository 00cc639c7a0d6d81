import { useEffect, useMemo, useRef, useState } from "react";

import { type Problem, asProblem } from "../../../api/problems";
import { Heatmaps, paint } from "./heat";
import type { Sight } from "./useStage";

interface Picture {
  n: number;
  label: string;
  bitmap: ImageBitmap | null;
}

/** The heatmap of the slice in sight on a canvas above it; drawn anew with each view. */
export function useHeat(
  analysisId: string,
  label: string | undefined,
  sight: Sight | undefined,
  onProblem: (problem: Problem) => void,
) {
  const layer = useRef<HTMLCanvasElement>(null);
  const inSight = sight?.n;
  const corners = sight?.corners;
  const [picture, setPicture] = useState<Picture>();
  const heatmaps = useMemo(() => (label === undefined ? undefined : new Heatmaps(analysisId, label)), [analysisId, label]);
  const hear = useRef(onProblem);
  useEffect(() => {
    hear.current = onProblem;
  });

  useEffect(() => {
    if (!heatmaps || label === undefined || inSight === undefined) return undefined;
    let over = false;
    void heatmaps.of(inSight).then(
      (bitmap) => !over && setPicture({ n: inSight, label, bitmap }),
      (error: unknown) => {
        const problem = asProblem(error);
        if (!over && problem) hear.current(problem);
      },
    );
    return () => {
      over = true;
    };
  }, [heatmaps, label, inSight]);

  const fits = picture && picture.n === inSight && picture.label === label ? picture : undefined;
  useEffect(() => {
    if (layer.current) paint(layer.current, fits?.bitmap ?? null, corners);
  }, [fits, corners]);

  return { layer, painted: fits?.bitmap ? fits.n : undefined };
}
