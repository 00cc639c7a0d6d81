/** The rows that are in sight, of any number; a grid for screen readers, walked by arrow keys. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { useWords } from "../../words/words";
import { prefetchViewer } from "../analysis/ahead";
import { Row } from "./Row";
import { words } from "./words";

interface Props {
  rows: AnalysisOut[];
  /** Whether the list goes on beyond these. */
  more: boolean;
  onEnd: () => void;
}

const NARROW = "(width <= 640px)";
const HEIGHT = 44;
const NARROW_HEIGHT = 68;
const AHEAD = 30;
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 };

export function Grid({ rows, more, onEnd }: Props) {
  const t = useWords(words);
  const scroller = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const height = useNarrow() ? NARROW_HEIGHT : HEIGHT;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    virtual.measure();
  }, [height, virtual]);
  useEffect(() => {
    if (last + AHEAD >= rows.length) onEnd();
  }, [last, rows.length, onEnd]);
  const wanted = useRef<number | null>(null);
  const reach = () => {
    const row =
      wanted.current !== null && scroller.current?.querySelector<HTMLElement>(`[aria-rowindex="${wanted.current + 2}"]`);
    if (!row) return;
    wanted.current = null;
    row.focus();
  };
  useEffect(reach); // a row that was far away is there some renderings later

  const go = useNavigate();
  const open = ({ id }: AnalysisOut) => void go(`/analyses/${id}`);
  useEffect(prefetchViewer, []);

  const walk = (event: KeyboardEvent) => {
    const ends: Record<string, number> = { Home: 0, End: rows.length - 1 };
    const to = ends[event.key] ?? (event.key in STEPS ? at + (STEPS[event.key] ?? 0) : undefined);
    if (to === undefined) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(rows.length - 1, to));
    setAt(index);
    wanted.current = index;
    virtual.scrollToIndex(index);
    reach();
  };

  return (
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus -- its rows take the focus
    <div role="grid" aria-label={t.title} aria-rowcount={more ? -1 : rows.length + 1} className="grid" onKeyDown={walk}>
      <div role="row" aria-rowindex={1} className="row head">
        {[t.status, t.finding, t.study, t.model, t.slices, t.created].map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      <div className="scroller" ref={scroller} role="presentation">
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map(({ index, key, start }) => {
            const analysis = rows[index];
            return (
              analysis && (
                <div
                  key={key}
                  role="row"
                  aria-rowindex={index + 2}
                  tabIndex={index === at ? 0 : -1}
                  className="row"
                  style={{ height, transform: `translateY(${start}px)` }}
                  onFocus={() => setAt(index)}
                  onClick={({ target }) => !(target as Element).closest("a, button, label, input") && open(analysis)}
                  onKeyDown={({ key: pressed, target, currentTarget }) =>
                    pressed === "Enter" && target === currentTarget && open(analysis)
                  }
                >
                  <Row analysis={analysis} />
                </div>
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const change = () => setNarrow(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, []);
  return narrow;
}
