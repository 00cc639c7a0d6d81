/** Numbers and moments as people of a language write them. */
import type { Language } from "../../words/words";
import type { Interval } from "./period";

export type Unit = "count" | "ms";
const SECOND = 1000;
const STEPS = [
  ["hour", 3600 * SECOND],
  ["minute", 60 * SECOND],
  ["second", SECOND],
] as const;
const MOMENTS: Record<Interval, Intl.DateTimeFormatOptions> = {
  hour: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  week: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "long", year: "numeric" },
};
const TICKS: Record<Interval, Intl.DateTimeFormatOptions> = {
  hour: { hour: "2-digit", minute: "2-digit" },
  day: { day: "numeric", month: "short" },
  week: { day: "numeric", month: "short" },
  month: { month: "short", year: "2-digit" },
};

export function amount(value: number, unit: Unit, language: Language): string {
  if (unit === "count") return new Intl.NumberFormat(language).format(value);
  const [name, size] = STEPS.find(([, each]) => value >= each) ?? (["millisecond", 1] as const);
  const shown = { style: "unit", unit: name, unitDisplay: "short", maximumSignificantDigits: 3 } as const;
  return new Intl.NumberFormat(language, shown).format(value / size);
}

export function percent(share: number, language: Language): string {
  return new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share);
}

export function moment(time: string | Date, interval: Interval, language: Language): string {
  return new Intl.DateTimeFormat(language, MOMENTS[interval]).format(new Date(time));
}

export function tick(time: string, interval: Interval, language: Language): string {
  return new Intl.DateTimeFormat(language, TICKS[interval]).format(new Date(time));
}

/** A number of this very answer; nothing while it is on its way, whatever the one before said; a dash where it failed. */
export function written<T>({ currentData, error }: { currentData?: T; error?: unknown }, write: (answer: T) => string): string | undefined {
  if (currentData !== undefined) return write(currentData);
  return error ? "–" : undefined;
}
