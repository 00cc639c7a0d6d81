/** Which time, and in what steps. */
import { HTMLSelect, InputGroup } from "@blueprintjs/core";

import { useWords } from "../../words/words";
import { type Interval, PERIODS, type Period, type PeriodName, ZONE, dayText, lastDay } from "./period";
import { words } from "./words";

interface Props {
  period: Period;
  now: Date;
  onChange: (change: Record<string, string>) => void;
}

export function PeriodTools({ period, now, onChange }: Props) {
  const t = useWords(words);
  const [from, to] = [dayText(period.from), dayText(lastDay(period, now))];
  const choose = (name: PeriodName) => onChange({ period: name, by: "", ...(name === "own" ? { from, to } : { from: "", to: "" }) });
  return (
    <>
      <HTMLSelect
        aria-label={t.period}
        value={period.name}
        onChange={({ currentTarget }) => choose(currentTarget.value as PeriodName)}
        options={PERIODS.map((value) => ({ value, label: t[value] }))}
      />
      {period.name === "own" && (
        <>
          <InputGroup type="date" aria-label={t.from} value={from} max={to} onValueChange={(value) => value && onChange({ from: value })} />
          <InputGroup type="date" aria-label={t.to} value={to} min={from} onValueChange={(value) => value && onChange({ to: value })} />
        </>
      )}
      <HTMLSelect
        aria-label={t.by}
        value={period.interval}
        onChange={({ currentTarget }) => onChange({ by: currentTarget.value })}
        options={period.intervals.map((value: Interval) => ({ value, label: t[value] }))}
      />
      <span className="quiet zone">{t.zone(ZONE)}</span>
    </>
  );
}
