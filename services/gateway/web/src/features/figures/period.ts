/** Which time is looked at and in what steps, as the address holds it. Days are those of the browser's time zone. */
import type { AnalyticsTimeseriesApiArg } from "../../api/generated";

export type Interval = NonNullable<AnalyticsTimeseriesApiArg["interval"]>;
export type PeriodName = "24h" | "7d" | "30d" | "90d" | "12m" | "own";

export interface Period {
  name: PeriodName;
  interval: Interval;
  /** The intervals that make sense for it, the usual one first. */
  intervals: readonly Interval[];
  from: Date;
  /** Not included; undefined: up to now. */
  to: Date | undefined;
}

const INTERVALS: Record<Exclude<PeriodName, "own">, readonly Interval[]> = {
  "24h": ["hour"],
  "7d": ["day", "hour"],
  "30d": ["day", "week"],
  "90d": ["week", "day", "month"],
  "12m": ["month", "week", "day"],
};
export const PERIODS = [...Object.keys(INTERVALS), "own"] as PeriodName[];
const USUAL = "30d";
const DAY_MS = 86_400_000;

export function readPeriod(parameters: URLSearchParams, now: Date): Period {
  const asked = PERIODS.find((each) => each === parameters.get("period")) ?? USUAL;
  const own = asked === "own" ? ownDays(parameters) : undefined;
  const name = asked === "own" && !own ? USUAL : asked;
  const intervals = name === "own" && own ? ownIntervals(own.from, own.to) : INTERVALS[name as keyof typeof INTERVALS];
  const interval = intervals.find((each) => each === parameters.get("by")) ?? intervals[0]!;
  return { name, interval, intervals, from: own?.from ?? begin(name, now), to: own?.to };
}

/** Two days, both included: those that are in the address, as far as they make sense. */
function ownDays(parameters: URLSearchParams): { from: Date; to: Date } | undefined {
  const [from, last] = [day(parameters.get("from")), day(parameters.get("to"))];
  if (!from || !last || from > last) return undefined;
  return { from, to: midnight(last, 1) };
}

function ownIntervals(from: Date, to: Date): readonly Interval[] {
  const days = (to.getTime() - from.getTime()) / DAY_MS;
  if (days <= 2) return ["hour"];
  if (days <= 31) return ["day", "hour", "week"];
  if (days <= 120) return ["week", "day", "month"];
  return days <= 900 ? ["month", "week", "day"] : ["month", "week"];
}

/** The first moment of a period that ends now: always the beginning of an hour, a day or a month. */
function begin(name: PeriodName, now: Date): Date {
  if (name === "24h") return new Date(now.getFullYear(), now.getMonth(), now.getDate(), now.getHours() - 23);
  if (name === "12m") return new Date(now.getFullYear(), now.getMonth() - 11, 1);
  return midnight(now, 1 - Number.parseInt(name, 10));
}

function midnight(of: Date, days: number): Date {
  return new Date(of.getFullYear(), of.getMonth(), of.getDate() + days);
}

function day(text: string | null): Date | undefined {
  const [, year, month, date] = /^(2[01]\d\d)-(\d\d)-(\d\d)$/.exec(text ?? "") ?? [];
  const found = new Date(Number(year), Number(month) - 1, Number(date));
  return found.getMonth() === Number(month) - 1 ? found : undefined;
}

/** As a date field and the address write a day. */
export function dayText(of: Date): string {
  return `${of.getFullYear()}-${String(of.getMonth() + 1).padStart(2, "0")}-${String(of.getDate()).padStart(2, "0")}`;
}

/** The last day that lies in the period. */
export function lastDay({ to }: Period, now: Date): Date {
  return to ? midnight(to, -1) : now;
}

/** The day after it, at which a time that is asked for by days ends. A day isn't always 24 hours. */
export function dayAfter(period: Period, now: Date): Date {
  return midnight(lastDay(period, now), 1);
}

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
