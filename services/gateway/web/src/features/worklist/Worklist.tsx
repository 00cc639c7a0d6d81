/** All analyses, newest first, as they are at this moment; the address holds what was searched for. */
import "./worklist.css";

import { Button, HTMLSelect, InputGroup, NonIdealState } from "@blueprintjs/core";
import { Cross, Search } from "@blueprintjs/icons";
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";

import type { Status } from "../../api/generated";
import { Heading } from "../../parts/Heading";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { useWorklistInfiniteQuery } from "./api";
import { Grid } from "./Grid";
import { words } from "./words";

const STATUSES: readonly Status[] = ["queued", "running", "completed", "failed", "cancelled"];
const PAUSE_MS = 200;

export default function Worklist() {
  const t = useWords(words);
  const [parameters, setParameters] = useSearchParams();
  const [cleared, setCleared] = useState(0);
  const q = parameters.get("q") ?? "";
  const status = STATUSES.find((each) => each === parameters.get("status"));
  const { currentData, data, error, hasNextPage, fetchNextPage, isFetchingNextPage, refetch } = useWorklistInfiniteQuery({
    q: q || undefined,
    status,
  });
  const set = (name: string, value: string) => {
    // What the address says by now: in `parameters` a change that is still on its way would be missing, and be undone.
    const after = new URLSearchParams(location.search);
    if (value) after.set(name, value);
    else after.delete(name);
    setParameters(after, { replace: true });
  };
  const clear = () => {
    setParameters({}, { replace: true });
    setCleared(cleared + 1); // empties the box, too: at once, while the address changes in a transition
  };
  // While another search is on its way, what was found before stays: no jumps.
  const rows = (currentData ?? data)?.pages.flatMap(({ items }) => items);
  const filtered = Boolean(q || status);

  return (
    <div className="worklist">
      <div className="tools">
        <Heading>{t.title}</Heading>
        <SearchBox key={cleared} label={t.search} start={cleared ? "" : q} onValue={(value) => set("q", value)} />
        <HTMLSelect
          aria-label={t.status}
          value={status ?? ""}
          onChange={({ currentTarget }) => set("status", currentTarget.value)}
          options={[{ value: "", label: t.anyStatus }, ...STATUSES.map((value) => ({ value, label: t[value] }))]}
        />
        {filtered && (
          <Button variant="minimal" icon={<Cross />} onClick={clear}>
            {t.clear}
          </Button>
        )}
      </div>
      <ProblemNote problem={error} retry={() => void refetch()} />
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
        />
      )}
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
