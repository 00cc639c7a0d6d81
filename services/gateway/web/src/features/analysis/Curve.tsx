/** Each slice's score, from feet to head: shows where something argues for a finding, and is the way there. */
import { type KeyboardEvent, type PointerEvent, useMemo } from "react";

import type { SliceOut } from "../../api/generated";
import { findingName } from "../../words/findings";
import { useWords } from "../../words/words";
import { points } from "./points";
import { words } from "./words";

interface Props {
  slices: SliceOut[];
  label: string | undefined;
  /** The slices that argue most. */
  top: readonly number[];
  n: number;
  onN: (n: number) => void;
  /** Which of two this is. */
  title: string | undefined;
}

const FAR = 10;
const STEPS: Record<string, number> = {
  ArrowUp: 1,
  ArrowRight: 1,
  ArrowDown: -1,
  ArrowLeft: -1,
  PageUp: FAR,
  PageDown: -FAR,
  Home: -Infinity,
  End: Infinity,
};

export function Curve({ slices, label, top, n, onN, title }: Props) {
  const t = useWords(words);
  const lines = useMemo(() => (label === undefined ? [] : points(slices, label)), [slices, label]);
  const last = Math.max(1, slices.length - 1);
  const score = label === undefined ? undefined : slices[n]?.probabilities[label];
  const said = score === undefined || label === undefined ? t.notRead : t.scoreOf(findingName(label), score);

  const jump = ({ currentTarget, clientX, buttons, type }: PointerEvent<HTMLElement>) => {
    if (type === "pointermove" && buttons === 0) return;
    const { left, width } = currentTarget.getBoundingClientRect();
    onN(Math.round(((clientX - left) / width) * last));
  };
  const walk = (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    onN(n + step);
  };

  return (
    <div className="curve-box">
      <div
        role="slider"
        tabIndex={0}
        className="curve"
        aria-label={title ? `${t.curve}: ${title}` : t.curve}
        aria-valuemin={1}
        aria-valuemax={slices.length}
        aria-valuenow={n + 1}
        aria-valuetext={label === undefined ? t.slice(n + 1, slices.length) : t.curveAt(n + 1, slices.length, said)}
        title={t.curveHelp}
        onKeyDown={walk}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          jump(event);
        }}
        onPointerMove={jump}
      >
        <svg viewBox={`0 0 ${last} 1`} preserveAspectRatio="none" aria-hidden>
          {[0.25, 0.5, 0.75].map((share) => (
            <line key={share} className="rule" x1="0" x2={last} y1={share} y2={share} />
          ))}
          {top.map((each) => (
            <line key={each} className="top" x1={each} x2={each} y1="0" y2="1" />
          ))}
          {lines.map((line) => (
            <g key={line[0]?.[0]}>
              <polygon className="area" points={area(line)} />
              <polyline className="line" points={line.map((point) => point.join(",")).join(" ")} />
            </g>
          ))}
          <line className="cursor" x1={n} x2={n} y1="0" y2="1" />
        </svg>
      </div>
      <div className="curve-ends" aria-hidden>
        <span>{t.feet}</span>
        <span className="curve-said">
          {t.slice(n + 1, slices.length)}
          {label !== undefined && ` · ${said}`}
        </span>
        <span>{t.head}</span>
      </div>
    </div>
  );
}

function area(line: [number, number][]): string {
  const [first, last] = [line[0]?.[0] ?? 0, line.at(-1)?.[0] ?? 0];
  return [`${first},1`, ...line.map((point) => point.join(",")), `${last},1`].join(" ");
}
