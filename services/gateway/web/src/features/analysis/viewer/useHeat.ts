import { useEffect, useMemo, useRef, useState } from "react";

import { type Problem, asProblem } from "../../../api/problems";
import { Heatmaps, paint } from "./heat";
import type { Sight } from "./useStage";

/** What became of the heatmap of a slice: a picture, or none, which must not look as if nothing argued there. */
interface Outcome {
  n: number;
  label: string;
  bitmap: ImageBitmap | null;
}

/** The heatmap of the slice in sight, which the model read, on a canvas above it; drawn anew with each view. */
export function useHeat(
  analysisId: string,
  label: string | undefined,
  sight: Sight | undefined,
  onProblem: (problem: Problem) => void,
) {
  const layer = useRef<HTMLCanvasElement>(null);
  const inSight = sight?.n;
  const corners = sight?.corners;
  const [outcome, setOutcome] = useState<Outcome>();
  const [tries, setTries] = useState(0);
  const heatmaps = useMemo(() => (label === undefined ? undefined : new Heatmaps(analysisId, label)), [analysisId, label]);
  const hear = useRef(onProblem);
  useEffect(() => {
    hear.current = onProblem;
  });

  useEffect(() => {
    if (!heatmaps || label === undefined || inSight === undefined) return undefined;
    let over = false;
    void heatmaps.of(inSight).then(
      (bitmap) => !over && setOutcome({ n: inSight, label, bitmap }),
      (error: unknown) => {
        if (over) return;
        setOutcome({ n: inSight, label, bitmap: null });
        const problem = asProblem(error);
        if (problem) hear.current(problem);
      },
    );
    return () => {
      over = true;
    };
    // oxlint-disable-next-line react/exhaustive-deps -- each try asks anew
  }, [heatmaps, label, inSight, tries]);

  const fits = outcome && outcome.n === inSight && outcome.label === label ? outcome : undefined;
  useEffect(() => {
    if (layer.current) paint(layer.current, fits?.bitmap ?? null, corners);
  }, [fits, corners]);

  const again = () => {
    setOutcome(undefined);
    setTries((before) => before + 1);
  };
  return { layer, painted: fits?.bitmap ? fits.n : undefined, failed: fits?.bitmap === null, again };
}
