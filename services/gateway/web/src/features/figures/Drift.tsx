/** How a model version fares: how far what it reads lies from what it was validated on. */
import { HTMLSelect, Tag } from "@blueprintjs/core";
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

import { useGetMeQuery } from "../../api/api";
import type { Band, MeasureOut, WatchOut } from "../../api/generated";
import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { findingName } from "../../words/findings";
import { type Language, useLanguage, useWords } from "../../words/words";
import { useListModelsQuery, useWatchModelQuery } from "./api";
import { ChartCard } from "./ChartCard";
import { amount, percent } from "./format";
import { type Period, dayAfter, dayText } from "./period";
import { Reading } from "./Reading";
import { HEIGHT } from "./TimeChart";
import { type Words, words } from "./words";

const INTENTS: Record<Band, "none" | "success" | "warning" | "danger"> = {
  too_few: "none",
  stable: "success",
  moderate: "warning",
  major: "danger",
};
const AXIS = { fill: "var(--quiet)", fontSize: 12 };

interface Props {
  period: Period;
  now: Date;
  about: string;
  model: string;
  measure: string;
  onChange: (change: Record<string, string>) => void;
}

export function Drift({ period, now, about, model, measure, onChange }: Props) {
  const t = useWords(words);
  const { data: models, error } = useListModelsQuery();
  const items = (models?.items ?? []).toSorted((a, b) => Number(b.serves) - Number(a.serves));
  const chosen = items.find((each) => key(each) === model) ?? items[0];
  const select = chosen && (
    <HTMLSelect
      aria-label={t.model}
      value={key(chosen)}
      onChange={({ currentTarget }) => onChange({ model: currentTarget.value, measure: "" })}
      options={items.map((each) => ({
        value: key(each),
        label: `${each.title} ${each.version}${each.serves ? ` (${t.serving})` : ""}`,
      }))}
    />
  );
  return (
    <section className="drift">
      <div className="chart-head">
        <h2>{t.drift}</h2>
        {select}
      </div>
      <p className="quiet">{t.driftHelp}</p>
      <ProblemNote problem={error} />
      {!models && !error && <Skeleton lines={6} />}
      {models && !chosen && (
        <div className="chart-empty">
          <strong>{t.noModel}</strong>
          <span className="quiet">{t.noModelHelp}</span>
        </div>
      )}
      {chosen && (
        <Watch
          name={chosen.name}
          version={chosen.version}
          from={dayText(period.from)}
          to={dayText(dayAfter(period, now))}
          about={`${chosen.title} ${chosen.version} · ${about}`}
          measure={measure}
          onMeasure={(value) => onChange({ measure: value })}
        />
      )}
    </section>
  );
}

function key({ name, version }: { name: string; version: string }): string {
  return `${name}@${version}`;
}

interface WatchProps {
  name: string;
  version: string;
  from: string;
  to: string;
  about: string;
  measure: string;
  onMeasure: (measure: string) => void;
}

function Watch({ name, version, from, to, about, measure, onMeasure }: WatchProps) {
  const t = useWords(words);
  const language = useLanguage();
  const { data: me } = useGetMeQuery();
  const { currentData, data, error, refetch } = useWatchModelQuery({ name, version, from, to });
  const watch = currentData ?? (data?.model === name && data.model_version === version ? data : undefined);
  if (!watch) return error ? <ProblemNote problem={error} retry={() => void refetch()} /> : <Skeleton lines={6} />;
  const shown = watch.measures.find((each) => each.measure === measure) ?? watch.measures[0];
  return (
    <>
      {me?.role === "operator" && <p className="quiet">{t.everywhere}</p>}
      <Facts watch={watch} />
      {shown ? (
        <div className="drift-parts">
          <Measures watch={watch} shown={shown.measure} onMeasure={onMeasure} />
          <Spread measure={shown} file={`codetect-drift-${name}-${version}-${from}`} about={about} needed={watch.studies_needed} />
        </div>
      ) : (
        <p>{t.cannotTell}</p>
      )}
      <ul className="facts">
        {watch.agreement
          .filter(({ share }) => share !== null)
          .map(({ label, share, confirmed, corrected }) => (
            <li key={label}>
              {t.settled(findingName(label), percent(share ?? 0, language), amount(confirmed + corrected, "count", language))}
            </li>
          ))}
      </ul>
    </>
  );
}

function Facts({ watch: { out_of_distribution: unlike } }: { watch: WatchOut }) {
  const t = useWords(words);
  const language = useLanguage();
  if (!unlike || unlike.studies === 0) return null;
  return <p>{t.flagged(amount(unlike.flagged, "count", language), amount(unlike.studies, "count", language))}</p>;
}

function Measures({ watch, shown, onMeasure }: { watch: WatchOut; shown: string; onMeasure: (measure: string) => void }) {
  const t = useWords(words);
  const language = useLanguage();
  return (
    <table className="measures">
      <thead>
        <tr>
          <th scope="col">{t.measure}</th>
          <th scope="col">{t.verdict}</th>
          <th scope="col" className="number">
            PSI
          </th>
          <th scope="col" className="number">
            {t.studiesCounted}
          </th>
        </tr>
      </thead>
      <tbody>
        {watch.measures.map(({ measure, band, psi, studies }) => (
          <tr key={measure} className={measure === shown ? "chosen" : ""}>
            <th scope="row">
              <button type="button" className="plain" aria-pressed={measure === shown} onClick={() => onMeasure(measure)}>
                {measureName(measure, t)}
              </button>
            </th>
            <td>
              <Tag minimal intent={INTENTS[band]}>
                {t[band]}
              </Tag>
            </td>
            <td className="number">{psi === null ? "–" : amount(Number(psi.toPrecision(2)), "count", language)}</td>
            <td className="number">{amount(studies, "count", language)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Spread({ measure, file, about, needed }: { measure: MeasureOut; file: string; about: string; needed: number }) {
  const t = useWords(words);
  const language = useLanguage();
  const name = measureName(measure.measure, t);
  const rows = measure.expected.map((expected, at) => ({ bin: bin(measure.edges, at, t, language), expected, seen: measure.seen[at] ?? null }));
  const write = (share: number | null) => (share === null ? "–" : percent(share, language));
  return (
    <ChartCard
      title={name}
      file={file}
      about={about}
      legend={[
        { id: "expected", name: t.expected },
        { id: "seen", name: t.seen },
      ]}
      numbers={{
        head: [t.bin, t.expected, t.seen],
        shown: rows.map(({ bin: where, expected, seen }) => [where, write(expected), write(seen)]),
        plain: rows.map(({ bin: where, expected, seen }) => [where, expected, seen]),
      }}
      note={measure.band === "too_few" && <p className="quiet">{t.needed(needed)}</p>}
    >
      <ResponsiveContainer width="100%" height={HEIGHT} initialDimension={{ width: 400, height: HEIGHT }}>
        <BarChart data={rows} title={t.read(name)} margin={{ top: 6, right: 8, bottom: 0, left: 0 }}>
          <CartesianGrid vertical={false} stroke="var(--line)" />
          <XAxis dataKey="bin" tick={AXIS} stroke="var(--line)" tickLine={false} minTickGap={16} />
          <YAxis width="auto" tick={AXIS} axisLine={false} tickLine={false} tickFormatter={(share: number) => percent(share, language)} />
          <Tooltip
            isAnimationActive={false}
            cursor={{ fill: "var(--hover)" }}
            content={<Reading title={(row: (typeof rows)[number]) => row.bin} value={(share) => percent(share, language)} />}
          />
          <Bar dataKey="expected" name={t.expected} fill="var(--series-1)" isAnimationActive={false} />
          <Bar dataKey="seen" name={t.seen} fill="var(--series-2)" isAnimationActive={false} />
        </BarChart>
      </ResponsiveContainer>
    </ChartCard>
  );
}

function measureName(measure: string, t: Words): string {
  if (measure.startsWith("score:")) return t.score(findingName(measure.slice("score:".length)));
  const known = { distance: t.distance, input_mean: t.input_mean, input_spread: t.input_spread }[measure];
  return known ?? measure.replaceAll("_", " ");
}

function bin(edges: readonly number[], at: number, t: Words, language: Language): string {
  const edge = (of: number) => new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(edges[of]!);
  if (at === 0) return t.below(edge(0));
  return at === edges.length ? t.above(edge(at - 1)) : t.between(edge(at - 1), edge(at));
}
