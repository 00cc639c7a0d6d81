import { useEffect, useRef, useState } from "react";

import type { Problem } from "../../../api/problems";
import type { Corners } from "./heat";
import type { Series, Window } from "./series";
import { Stage } from "./stage";

interface Ears {
  onWindow: (window: Window) => void;
  onMeasured: (count: number) => void;
  onProblem: (problem: Problem) => void;
}

/** What was drawn last: of which slice, and where it lies now. */
export interface Sight {
  n: number;
  corners: Corners | undefined;
}

/** The stage in an element, and what of it is in sight. */
export function useStage(series: Series, n: number, ears: Ears) {
  const element = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage>(undefined);
  const hear = useRef(ears);
  const [sight, setSight] = useState<Sight>();
  const [failure, setFailure] = useState<{ n: number; problem: Problem }>();
  useEffect(() => {
    hear.current = ears;
  });

  useEffect(() => {
    if (!element.current) return undefined;
    const made = new Stage(element.current, series, {
      onPainted: (at) => {
        setSight({ n: at, corners: made.corners() });
        setFailure((before) => (before?.n === at ? undefined : before));
      },
      onRetry: () => setFailure(undefined),
      onWindow: (window) => hear.current.onWindow(window),
      onMeasured: (count) => hear.current.onMeasured(count),
      onFailed: (at, problem) => {
        setFailure({ n: at, problem });
        hear.current.onProblem(problem);
      },
    });
    stage.current = made;
    return () => {
      stage.current = undefined;
      made.end();
    };
  }, [series]);
  useEffect(() => stage.current?.show(n), [n]);

  return { element, stage, sight, failure };
}
