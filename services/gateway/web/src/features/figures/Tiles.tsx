/** The few numbers to know at a glance. */
import type { Summary } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { useLanguage, useWords } from "../../words/words";
import { useAnalyticsSummaryQuery, useAnalyticsTimeseriesQuery } from "./api";
import { amount, percent, written } from "./format";
import { total } from "./lines";
import { type Period, ZONE } from "./period";
import { words } from "./words";

export function Tiles({ period: { from, to, interval } }: { period: Period }) {
  const t = useWords(words);
  const language = useLanguage();
  const time = { from: from.toISOString(), to: to?.toISOString() };
  const summary = useAnalyticsSummaryQuery(time);
  const opinions = useAnalyticsTimeseriesQuery({ ...time, metric: "feedback", by: ["outcome"], interval, tz: ZONE });
  const count = (of: (summary: Summary) => number) => written(summary, (answer) => amount(of(answer), "count", language));
  const typical = written(summary, ({ turnaround_ms: { total: all } }) => (all?.p50 === undefined ? "–" : amount(all.p50, "ms", language)));
  const agreement = written(opinions, ({ series }) => {
    const said = (outcome: string) =>
      series.filter(({ key }) => key["outcome"] === outcome).reduce((sum, line) => sum + total(line), 0);
    const clear = said("agrees") + said("disagrees");
    return clear ? percent(said("agrees") / clear, language) : "–";
  });
  const failed = [summary, opinions].filter(({ error }) => error);
  return (
    <>
      <ProblemNote problem={failed[0]?.error} retry={() => failed.forEach(({ refetch }) => void refetch())} />
      <dl className="tiles" aria-label={t.now}>
        <Tile name={t.waiting} value={count(({ now }) => now.queued ?? 0)} />
        <Tile name={t.running} value={count(({ now }) => now.running ?? 0)} />
        <Tile name={t.completed} value={count(({ analyses }) => analyses.completed ?? 0)} />
        <Tile name={t.findingsFound} value={count(({ findings }) => findings.reduce((sum, each) => sum + (each.positive ?? 0), 0))} />
        <Tile name={t.typical} help={t.typicalHelp} value={typical} />
        <Tile name={t.refusedFiles} value={count(({ files }) => files.refused ?? 0)} />
        <Tile name={t.agreement} help={t.agreementHelp} value={agreement} />
      </dl>
    </>
  );
}

function Tile({ name, value, help }: { name: string; value: string | undefined; help?: string }) {
  return (
    <div className="tile" title={help}>
      <dt>{name}</dt>
      <dd className={value === undefined ? "bp6-skeleton" : ""}>{value ?? "0"}</dd>
    </div>
  );
}
