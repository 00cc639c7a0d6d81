/** What the list is filtered and sorted by; on a narrow screen behind a button. */
import { Button, HTMLSelect, InputGroup } from "@blueprintjs/core";
import { Cross, Filter, WarningSign } from "@blueprintjs/icons";
import { type ComponentProps, useId, useState } from "react";

import type { Facets } from "../../api/generated";
import { findingName } from "../../words/findings";
import { useWords } from "../../words/words";
import { type Name, PERIODS, RESULTS, SORTS, STATES, type Shown, counted } from "./filters";
import { words } from "./words";

interface Props {
  shown: Shown;
  facets: Facets | undefined;
  narrow: boolean;
  /** Whether folders and tags stand beside the list. */
  side: boolean;
  set: (changes: Partial<Record<Name, string>>) => void;
}

export function FilterBar(props: Props) {
  const t = useWords(words);
  const id = useId();
  const [unfolded, setUnfolded] = useState(false);
  if (!props.narrow) return <Controls {...props} />;
  const count = counted(props.shown);
  return (
    <>
      <Button
        icon={<Filter />}
        active={unfolded}
        aria-expanded={unfolded}
        aria-controls={id}
        onClick={() => setUnfolded(!unfolded)}
      >
        {t.filters(count)}
      </Button>
      <div id={id} hidden={!unfolded} className="folded">
        {unfolded && <Controls {...props} />}
      </div>
    </>
  );
}

function Controls({ shown, facets, side, set }: Props) {
  const t = useWords(words);
  const [asked, setAsked] = useState(false);
  const spanned = !shown.since && (asked || shown.from !== undefined || shown.to !== undefined);
  const period = (value: string) => {
    setAsked(value === "days");
    set(value === "days" ? { since: "" } : { since: value, from: "", to: "" });
  };
  const result = (value: string) => {
    const isLabel = value.startsWith(":");
    set({ result: isLabel ? "" : value, finding: isLabel ? value.slice(1) : "" });
  };
  const labels = among(facets?.findings, shown.finding);
  return (
    <div className="filters">
      <Choice
        label={t.status}
        value={shown.status ?? ""}
        onValue={(status) => set({ status })}
        options={[{ value: "", label: t.anyStatus }, ...STATES.map((value) => ({ value, label: t[value] }))]}
      />
      <Choice
        label={t.result}
        value={shown.finding ? `:${shown.finding}` : (shown.result ?? "")}
        onValue={result}
        options={[
          { value: "", label: t.anyResult },
          ...RESULTS.map((value) => ({ value, label: t[value] })),
          ...labels.map((label) => ({ value: `:${label}`, label: findingName(label) })),
        ]}
      />
      <Choice
        label={t.received}
        value={shown.since ?? (spanned ? "days" : "")}
        onValue={period}
        options={[
          { value: "", label: t.anyTime },
          ...PERIODS.map((value) => ({ value, label: t[value] })),
          { value: "days", label: t.days },
        ]}
      />
      {spanned && (
        <span className="days">
          <InputGroup type="date" aria-label={t.from} value={shown.from ?? ""} onValueChange={(from) => set({ from })} />
          <InputGroup type="date" aria-label={t.to} value={shown.to ?? ""} onValueChange={(to) => set({ to })} />
        </span>
      )}
      {!side && (
        <>
          <Choice
            label={t.folder}
            value={shown.folder ?? ""}
            onValue={(folder) => set({ folder })}
            options={[{ value: "", label: t.anyFolder }, ...named(among(facets?.folders, shown.folder))]}
          />
          <Choice
            label={t.tag}
            value={shown.tag ?? ""}
            onValue={(tag) => set({ tag })}
            options={[{ value: "", label: t.anyTag }, ...named(among(facets?.tags, shown.tag))]}
          />
        </>
      )}
      <Choice
        label={t.sort}
        value={shown.sort}
        onValue={(sort) => set({ sort: sort === "newest" ? "" : sort })}
        options={(Object.keys(SORTS) as (keyof typeof SORTS)[]).map((value) => ({ value, label: t[value] }))}
      />
      <Toggle on={shown.urgent} icon={<WarningSign />} onToggle={(on) => set({ urgent: on ? "true" : "" })}>
        {t.urgentFirst}
      </Toggle>
      <Toggle on={shown.mine} onToggle={(on) => set({ mine: on ? "true" : "" })}>
        {t.mine}
      </Toggle>
    </div>
  );
}

export function ClearButton({ onClear }: { onClear: () => void }) {
  const t = useWords(words);
  return (
    <Button variant="minimal" icon={<Cross />} onClick={onClear}>
      {t.clear}
    </Button>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  onValue: (value: string) => void;
  options: { value: string; label: string }[];
}

function Choice({ label, value, onValue, options }: ChoiceProps) {
  return (
    <HTMLSelect
      aria-label={label}
      className={value && value !== "newest" ? "in-use" : ""}
      value={value}
      onChange={({ currentTarget }) => onValue(currentTarget.value)}
      options={options}
    />
  );
}

interface ToggleProps extends Omit<ComponentProps<typeof Button>, "onToggle"> {
  on: boolean;
  onToggle: (on: boolean) => void;
}

export function Toggle({ on, onToggle, ...rest }: ToggleProps) {
  return <Button {...rest} active={on} aria-pressed={on} intent={on ? "primary" : "none"} onClick={() => onToggle(!on)} />;
}

/** What there is, and what is filtered by even if nothing has it any more. */
function among(counts: Facets["tags"] | undefined, value: string | undefined): string[] {
  return [...new Set([...(counts ?? []).map((each) => each.value), ...(value ? [value] : [])])];
}

function named(values: string[]): { value: string; label: string }[] {
  return values.map((value) => ({ value, label: value }));
}
