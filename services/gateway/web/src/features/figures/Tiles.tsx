/** The few numbers to know at a glance. */
import type { Summary } from "../../api/generated";
import { useLanguage, useWords } from "../../words/words";
import { useAnalyticsSummaryQuery, useAnalyticsTimeseriesQuery } from "./api";
import { amount, percent } from "./format";
import { total } from "./lines";
import { type Period, ZONE } from "./period";
import { words } from "./words";

export function Tiles({ period: { from, to, interval } }: { period: Period }) {
  const t = useWords(words);
  const language = useLanguage();
  const time = { from: from.toISOString(), to: to?.toISOString() };
  const { currentData, data } = useAnalyticsSummaryQuery(time);
  const opinions = useAnalyticsTimeseriesQuery({ ...time, metric: "feedback", by: ["outcome"], interval, tz: ZONE });
  const summary = currentData ?? data;
  const count = (of: (summary: Summary) => number) => summary && amount(of(summary), "count", language);
  const half = summary?.turnaround_ms["total"]?.p50;
  const said = (outcome: string) =>
    (opinions.data?.series ?? []).filter(({ key }) => key["outcome"] === outcome).reduce((sum, line) => sum + total(line), 0);
  const clear = said("agrees") + said("disagrees");
  return (
    <dl className="tiles" aria-label={t.now}>
      <Tile name={t.waiting} value={count(({ now }) => now.queued ?? 0)} />
      <Tile name={t.running} value={count(({ now }) => now.running ?? 0)} />
      <Tile name={t.completed} value={count(({ analyses }) => analyses.completed ?? 0)} />
      <Tile name={t.findingsFound} value={count(({ findings }) => findings.reduce((sum, each) => sum + (each.positive ?? 0), 0))} />
      <Tile name={t.typical} help={t.typicalHelp} value={summary && (half === undefined ? "–" : amount(half, "ms", language))} />
      <Tile name={t.refusedFiles} value={count(({ files }) => files.refused ?? 0)} />
      <Tile name={t.agreement} help={t.agreementHelp} value={opinions.data && (clear ? percent(said("agrees") / clear, language) : "–")} />
    </dl>
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
