/** The rows that are in sight, of any number; a grid for screen readers, walked and selected by keys. */
import { Checkbox } from "@blueprintjs/core";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type DragEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { useNavigate } from "react-router";

import type { AnalysisOut } from "../../api/generated";
import { useWords } from "../../words/words";
import { prefetchViewer } from "../analysis/ahead";
import { DRAGGED } from "./dragging";
import { Row } from "./Row";
import { useMedia } from "./useMedia";
import { words } from "./words";

export interface Selection {
  ids: ReadonlySet<string>;
  set: (ids: ReadonlySet<string>) => void;
  /** A key that does something with what is selected, or with this row where nothing is. */
  onKey: (key: string, row: AnalysisOut) => boolean;
  onDrag: (ids: ReadonlySet<string>) => void;
}

interface Props {
  rows: AnalysisOut[];
  /** Whether the list goes on beyond these. */
  more: boolean;
  onEnd: () => void;
  /** For those who may change analyses. */
  selection: Selection | undefined;
  /** Whether who patients are is shown. */
  patients: boolean;
}

const HEIGHT = 44;
const NARROW_HEIGHT = 72;
const AHEAD = 30;
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 };

export function Grid({ rows, more, onEnd, selection, patients }: Props) {
  const t = useWords(words);
  const scroller = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const anchor = useRef(0);
  const height = useMedia("(width <= 640px)") ? NARROW_HEIGHT : HEIGHT;
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

  const pick = (index: number, extend: boolean) => {
    const row = rows[index];
    if (!selection || !row) return;
    if (extend) {
      const [from, to] = [Math.min(anchor.current, index), Math.max(anchor.current, index)];
      selection.set(new Set([...selection.ids, ...rows.slice(from, to + 1).map(({ id }) => id)]));
      return;
    }
    anchor.current = index;
    const ids = new Set(selection.ids);
    if (!ids.delete(row.id)) ids.add(row.id);
    selection.set(ids);
  };
  const all = () => selection?.set(new Set(rows.map(({ id }) => id)));

  const walk = (event: KeyboardEvent): boolean => {
    const ends: Record<string, number> = { Home: 0, End: rows.length - 1 };
    const to = ends[event.key] ?? (event.key in STEPS ? at + (STEPS[event.key] ?? 0) : undefined);
    if (to === undefined) return false;
    const index = Math.max(0, Math.min(rows.length - 1, to));
    if (event.shiftKey && selection) {
      if (selection.ids.size === 0) anchor.current = at;
      pick(index, true);
    }
    setAt(index);
    wanted.current = index;
    virtual.scrollToIndex(index);
    reach();
    return true;
  };
  const choose = (event: KeyboardEvent): boolean => {
    if (!selection || !(event.target as HTMLElement).matches("[role=row]")) return false;
    if (event.key === " ") pick(at, event.shiftKey);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) all();
    else if (event.ctrlKey || event.metaKey || event.altKey) return false;
    else if (event.key === "Escape" && selection.ids.size > 0) selection.set(new Set());
    else return rows[at] !== undefined && selection.onKey(event.key, rows[at]);
    return true;
  };
  const drag = (event: DragEvent, id: string) => {
    if (!selection) return;
    event.dataTransfer.setData(DRAGGED, "rows"); // which ones stays inside of the page
    event.dataTransfer.effectAllowed = "move";
    selection.onDrag(selection.ids.has(id) ? selection.ids : new Set([id]));
  };

  const chosen = selection ? rows.filter(({ id }) => selection.ids.has(id)).length : 0;
  const columns = [t.status, t.finding, ...(patients ? [t.patient] : []), t.study, t.marks, t.model, t.created];
  const kind = ["grid", patients && "with-patients", selection && "with-checks"].filter(Boolean).join(" ");
  return (
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus -- its rows take the focus
    <div
      role="grid"
      aria-label={t.title}
      aria-rowcount={more ? -1 : rows.length + 1}
      aria-multiselectable={selection ? true : undefined}
      className={kind}
      onKeyDown={(event) => {
        if (walk(event) || choose(event)) event.preventDefault();
      }}
    >
      <div role="row" aria-rowindex={1} className="row head">
        {selection && (
          <span role="columnheader" className="check">
            <Checkbox
              aria-label={t.selectAll}
              checked={chosen > 0 && chosen === rows.length}
              indeterminate={chosen > 0 && chosen < rows.length}
              onChange={() => (chosen === rows.length ? selection.set(new Set()) : all())}
            />
          </span>
        )}
        {columns.map((name) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      <div className="scroller" ref={scroller} role="presentation">
        <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map(({ index, key, start }) => {
            const analysis = rows[index];
            const selected = analysis && selection?.ids.has(analysis.id);
            return (
              analysis && (
                <div
                  key={key}
                  role="row"
                  aria-rowindex={index + 2}
                  aria-selected={selection ? Boolean(selected) : undefined}
                  tabIndex={index === at ? 0 : -1}
                  className={selected ? "row selected" : "row"}
                  style={{ height, transform: `translateY(${start}px)` }}
                  draggable={Boolean(selection)}
                  onDragStart={(event) => drag(event, analysis.id)}
                  onFocus={() => setAt(index)}
                  onClick={({ target }) => !(target as Element).closest("a, button, label, input, .check") && open(analysis)}
                  onKeyDown={({ key: pressed, target, currentTarget }) =>
                    pressed === "Enter" && target === currentTarget && open(analysis)
                  }
                >
                  {selection && (
                    <span role="gridcell" className="check">
                      <Checkbox
                        aria-label={t.select(analysis.study_id.slice(-8))}
                        tabIndex={-1}
                        checked={Boolean(selected)}
                        onChange={({ nativeEvent }) => pick(index, (nativeEvent as MouseEvent).shiftKey)}
                      />
                    </span>
                  )}
                  <Row analysis={analysis} patients={patients} moving={virtual.isScrolling} />
                </div>
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}
