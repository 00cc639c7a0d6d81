/** All analyses, as they are at this moment; the address holds what is shown of them, and in which order. */
import "./worklist.css";

import { InputGroup, NonIdealState } from "@blueprintjs/core";
import { EyeOpen, Search } from "@blueprintjs/icons";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { api, useGetMeQuery } from "../../api/api";
import type { AnalysisOut } from "../../api/generated";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useAddress } from "../../parts/useAddress";
import { useWords } from "../../words/words";
import { useWorklistInfiniteQuery } from "./api";
import { BulkBar, type Opened } from "./BulkBar";
import { ClearButton, FilterBar, Toggle } from "./FilterBar";
import { type Name, changed, isPlain, readShown, toFilters } from "./filters";
import { Grid } from "./Grid";
import { OutcomeNote } from "./OutcomeNote";
import { Side } from "./Side";
import { useBulk } from "./useBulk";
import { useMedia } from "./useMedia";
import { Views } from "./Views";
import { words } from "./words";

const PAUSE_MS = 200;
const NONE: ReadonlySet<string> = new Set();

export default function Worklist() {
  const t = useWords(words);
  const [parameters, setParameters] = useAddress();
  const query = parameters.toString();
  const [box, setBox] = useState(() => ({ key: 0, q: parameters.get("q") ?? "" }));
  const shown = useMemo(() => readShown(new URLSearchParams(query)), [query]);
  const filters = useMemo(() => toFilters(shown), [shown]);
  const { data: me } = useGetMeQuery();
  const { data: facets } = api.useListFacetsQuery();
  const { currentData, data, error, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } =
    useWorklistInfiniteQuery(filters);
  const narrow = useMedia("(width <= 640px)");
  const side = useMedia("(width >= 1000px)");
  const [patients, setPatients] = useState(true);
  const [selected, setSelected] = useState(NONE);
  const [opened, setOpened] = useState<Opened>();
  const dragged = useRef(NONE);
  const bulk = useBulk();

  const set = useCallback(
    (changes: Partial<Record<Name, string>>) => setParameters((now) => changed(now, changes)),
    [setParameters],
  );
  /** Also what stands in the search box: at once, while the address changes in a transition. */
  const show = (view: string) => {
    setParameters(() => changed(new URLSearchParams(view), {}));
    setBox({ key: box.key + 1, q: readShown(new URLSearchParams(view)).q });
  };
  // While another search is on its way, what was found before stays: no jumps.
  const pages = (currentData ?? data)?.pages;
  const rows = useMemo(() => pages?.flatMap(({ items }) => items), [pages]);
  const chosen = useMemo(() => rows?.filter(({ id }) => selected.has(id)) ?? [], [rows, selected]);
  const filtered = !isPlain(filters);
  const writes = me?.role === "member" || me?.role === "admin";
  const sees = me?.rights?.includes("identity") ?? false;

  const onKey = (key: string, row: AnalysisOut): boolean => {
    const those = chosen.length > 0 ? chosen : [row];
    if (key === "t" || key === "m") {
      setSelected(new Set(those.map(({ id }) => id)));
      setOpened(key === "t" ? "tag" : "move");
    } else if (key === "u") {
      const urgent = those.every(({ priority }) => priority === "urgent");
      const change = { priority: urgent ? ("routine" as const) : ("urgent" as const) };
      void bulk.act(those, { do: "organise", change }, urgent ? t.madeRoutine : t.madeUrgent);
    } else return false;
    return true;
  };
  const onDrop = (onto: { folder: string } | { tag: string }) => {
    const those = rows?.filter(({ id }) => dragged.current.has(id)) ?? [];
    if ("folder" in onto) void bulk.act(those, { do: "organise", change: onto }, (count) => t.moved(count, onto.folder));
    else void bulk.act(those, { do: "organise", change: { add_tags: [onto.tag] } }, (count) => t.tagged(count, onto.tag));
  };

  return (
    <div className="worklist">
      <div className="tools">
        <Heading>{t.title}</Heading>
        <Views query={query} onOpen={show} />
        <SearchBox key={box.key} label={t.search} start={box.q} onValue={(q) => set({ q })} />
        {sees && (
          <Toggle on={patients} icon={<EyeOpen />} aria-label={t.showPatients} onToggle={setPatients}>
            <span className="wide-only">{t.showPatients}</span>
          </Toggle>
        )}
        <FilterBar shown={shown} facets={facets} narrow={narrow} side={side} set={set} />
        {filtered && <ClearButton onClear={() => show("")} />}
      </div>
      <ProblemNote problem={error} retry={() => void refetch()} />
      <div className="halves">
        {side && <Side shown={shown} facets={facets} set={set} onDrop={writes ? onDrop : undefined} />}
        <div className="list">
          {!rows && !error && <Skeleton lines={12} />}
          {rows?.length === 0 && (
            <NonIdealState title={filtered ? t.noneFound : t.none} description={filtered ? t.noneFoundHelp : t.noneHelp} />
          )}
          {rows && rows.length > 0 && (
            <Grid
              rows={rows}
              more={hasNextPage}
              onEnd={() => {
                if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
              }}
              patients={sees && patients}
              selection={writes ? { ids: selected, set: setSelected, onKey, onDrag: (ids) => (dragged.current = ids) } : undefined}
            />
          )}
          <OutcomeNote bulk={bulk} />
          {chosen.length > 0 && (
            <BulkBar
              chosen={chosen}
              facets={facets}
              bulk={bulk}
              opened={opened}
              onOpened={setOpened}
              onEnd={() => setSelected(NONE)}
            />
          )}
        </div>
      </div>
    </div>
  );
}

interface SearchProps {
  label: string;
  /** What the box holds at first. */
  start: string;
  onValue: (value: string) => void;
}

/** Searches as one types, after a short pause. */
function SearchBox({ label, start, onValue }: SearchProps) {
  const [typed, setTyped] = useState(start);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (value: string) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onValue(value), PAUSE_MS);
  };
  return (
    <InputGroup type="search" leftIcon={<Search />} aria-label={label} placeholder={label} value={typed} onValueChange={type} />
  );
}
