/** The images: slices with their heatmap, to scroll, window, zoom, move and measure. Dark, whatever the theme. */
import { Button } from "@blueprintjs/core";
import { type KeyboardEvent, type PointerEvent, useEffect, useId, useState } from "react";

import type { SliceOut } from "../../../api/generated";
import type { Problem } from "../../../api/problems";
import { ProblemNote } from "../../../parts/ProblemNote";
import { useWords } from "../../../words/words";
import { words } from "../words";
import { type Action, act, actionOf } from "./keys";
import { type Preset, type Series, WINDOWS, type Window, edges } from "./series";
import type { Tool } from "./stage";
import { Toolbar } from "./Toolbar";
import { useHeat } from "./useHeat";
import { useStage } from "./useStage";
import { useWheel } from "./useWheel";

interface Props {
  series: Series;
  /** Which slices were read. */
  slices: SliceOut[];
  /** The slice to show. */
  n: number;
  onN: (n: number) => void;
  /** Whose heatmap; undefined while there is no result. */
  label: string | undefined;
  /** Which of two this is. */
  title?: string | undefined;
  onProblem: (problem: Problem) => void;
}

const FIRST_OPACITY = 0.7;
/** What stands in a corner lets clicks through, but for what is there to be clicked. */
const TO_CLICK = { pointerEvents: "auto" } as const;

const focus = ({ currentTarget }: PointerEvent<HTMLElement>) => currentTarget.focus({ preventScroll: true });

export default function Viewer({ series, slices, n, onN, label, title, onProblem }: Props) {
  const t = useWords(words);
  const help = useId();
  const [tool, setTool] = useState<Tool>("window");
  const [shown, setShown] = useState<Window>(WINDOWS.lung);
  const [opacity, setOpacity] = useState(FIRST_OPACITY);
  const [heat, setHeat] = useState(true);
  const [measured, setMeasured] = useState(0);
  const { element, stage, sight, failure } = useStage(series, n, {
    onWindow: setShown,
    onMeasured: setMeasured,
    onProblem,
  });
  const inSight = sight?.n;
  const read = inSight !== undefined && (slices[inSight]?.analysed ?? false);
  const laid = heat && read ? label : undefined;
  const { layer, painted, ...laying } = useHeat(series.analysisId, laid, sight, onProblem);
  const total = series.items.length;
  const measurable = series.spacing !== undefined;
  const frame = useWheel((steps) => onN(n + steps));

  const doIt = (action: Action) => act(action, { stage: stage.current, n, total, measurable, onN, setHeat, setTool });
  useEffect(() => stage.current?.hold(tool), [tool, stage]);
  const press = (event: KeyboardEvent) => {
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    doIt(action);
  };
  const failed = failure?.n === n ? failure.problem : undefined;
  const waiting = inSight !== n && !failed;
  const letters = edges(series.orientation);

  return (
    <div className="viewer">
      <Toolbar
        tool={tool}
        onTool={setTool}
        window={shown}
        onPreset={(preset: Preset) => stage.current?.setWindow(WINDOWS[preset])}
        onAction={doIt}
        measured={measured}
        measurable={measurable}
        heat={label === undefined ? undefined : heat}
        onHeat={setHeat}
        opacity={opacity}
        onOpacity={setOpacity}
      />
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- an application takes keys */}
      <div
        ref={frame}
        role="application"
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- as above
        tabIndex={0}
        aria-label={title ? `${t.images}: ${title}` : t.images}
        aria-describedby={help}
        aria-busy={waiting}
        className="images"
        data-slice={inSight}
        data-failed={failed ? n : undefined}
        onKeyDown={press}
        onPointerDown={focus}
        onContextMenu={(event) => event.preventDefault()}
      >
        <div ref={element} className={failed ? "pixels blank" : waiting ? "pixels waiting" : "pixels"} />
        <canvas
          ref={layer}
          className="heat"
          aria-hidden
          style={{ opacity: failed || waiting ? 0 : opacity }}
          data-slice={painted}
        />
        {!failed && (
          <div aria-hidden>
            <span className="edge left">{letters.left}</span>
            <span className="edge right">{letters.right}</span>
            <span className="edge top">{letters.top}</span>
            <span className="edge bottom">{letters.bottom}</span>
          </div>
        )}
        <span className="corner place">{waiting ? t.loadingSlice(n + 1) : t.slice(n + 1, total)}</span>
        <span className="corner values">{t.levelWidth(shown.level, shown.width)}</span>
        {heat && label !== undefined && !read && !waiting && !failed && <span className="corner bare">{t.noHeat}</span>}
        {laying.failed && !waiting && !failed && (
          <span className="corner bare" role="alert" style={TO_CLICK}>
            {t.heatFailed}
            <br />
            <Button size="small" onClick={laying.again}>
              {t.again}
            </Button>
          </span>
        )}
        {failed && (
          <div className="failed-slice">
            <p>{t.sliceFailed(n + 1)}</p>
            <ProblemNote problem={failed} />
            <Button onClick={() => stage.current?.again()}>{t.again}</Button>
          </div>
        )}
      </div>
      <p id={help} className="unseen">
        {t.imagesHelp}
      </p>
    </div>
  );
}
