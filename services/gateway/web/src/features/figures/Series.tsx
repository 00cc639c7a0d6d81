/** One chart over time: asks, draws, and says what to expect where there is nothing yet. */
import { HTMLSelect } from "@blueprintjs/core";
import { useMemo } from "react";

import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useLanguage, useWords } from "../../words/words";
import { useAnalyticsTimeseriesQuery } from "./api";
import { type Chart, STAGES, type Stage } from "./charts";
import { ChartCard } from "./ChartCard";
import { amount, moment } from "./format";
import { largest, linesOf, total } from "./lines";
import { type Period, ZONE, dayText } from "./period";
import { TimeChart } from "./TimeChart";
import { words } from "./words";

interface Props {
  chart: Chart;
  period: Period;
  about: string;
  stage: Stage;
  onStage: (stage: Stage) => void;
}

export function Series({ chart: { id, metric, by, shape, unit, naming }, period, about, stage, onStage }: Props) {
  const t = useWords(words);
  const language = useLanguage();
  const { interval, from, to } = period;
  const asked = { metric, by, interval, from: from.toISOString(), to: to?.toISOString(), tz: ZONE };
  const { currentData, data, error, refetch } = useAnalyticsTimeseriesQuery(asked);
  // While another time is on its way, what was there before stays: no jumps.
  const answer = currentData ?? data;
  const lines = useMemo(() => (answer ? linesOf(answer, naming(t, stage)) : []), [answer, naming, t, stage]);
  const shown = useMemo(() => (shape === "bars" ? largest(lines, t.others) : lines), [lines, shape, t]);
  if (!answer) {
    return (
      <section className="chart" aria-label={t[id]}>
        <h2>{t[id]}</h2>
        {error ? <ProblemNote problem={error} retry={() => void refetch()} /> : <Skeleton lines={7} />}
      </section>
    );
  }
  const write = (value: number | null | undefined) => (value === null || value === undefined ? "–" : amount(value, unit, language));
  return (
    <ChartCard
      title={t[id]}
      file={`codetect-${id}-${dayText(from)}`}
      about={unit === "ms" ? `${t[stage]} · ${about}` : about}
      legend={shown.map((line) => ({ ...line, ...(unit === "count" && { sum: write(total(line)) }) }))}
      numbers={{
        head: [t.time, ...lines.map(({ name }) => name)],
        plainHead: [t.time, ...lines.map(({ name }) => (unit === "ms" ? `${name} (ms)` : name))],
        shown: answer.times.map((time, at) => [moment(time, answer.interval, language), ...lines.map(({ values }) => write(values[at]))]),
        plain: answer.times.map((time, at) => [time, ...lines.map(({ values }) => values[at] ?? null)]),
      }}
      isOld={!currentData && !error}
      note={error && <ProblemNote problem={error} retry={() => void refetch()} />}
      tools={
        id === "turnaround" && (
          <HTMLSelect
            aria-label={t.stage}
            value={stage}
            onChange={({ currentTarget }) => onStage(currentTarget.value as Stage)}
            options={STAGES.map((value) => ({ value, label: t[value] }))}
          />
        )
      }
      empty={
        lines.length === 0 && (
          <>
            <strong>{t[`${id}None`]}</strong>
            <span className="quiet">{t[`${id}Next`]}</span>
          </>
        )
      }
    >
      <TimeChart answer={answer} lines={shown} shape={shape} unit={unit} label={t.read(t[id])} />
    </ChartCard>
  );
}
