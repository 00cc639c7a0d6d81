/** From the API's series to the lines of a chart. Pure. */
import type { AnalyticsTimeseriesApiArg, Timeseries } from "../../api/generated";

export type Figure = AnalyticsTimeseriesApiArg["metric"];

export interface Line {
  id: string;
  name: string;
  values: (number | null)[];
}

/** What a line is called, and where it stands; undefined leaves it out. */
export type Naming = (key: Timeseries["series"][number]["key"]) => { id: string; name: string; place?: number } | undefined;

/** Most lines that eyes and colours tell apart. */
export const MOST = 8;

/** All lines that have something to tell, in their place; those without one by size. */
export function linesOf({ series }: Timeseries, naming: Naming): Line[] {
  return series
    .flatMap(({ key, values }) => {
      const named = naming(key);
      return named && values.some((value) => value) ? [{ place: Infinity, ...named, values }] : [];
    })
    .toSorted((a, b) => (a.place === b.place ? total(b) - total(a) : a.place - b.place))
    .map(({ id, name, values }) => ({ id, name, values }));
}

export function total({ values }: Pick<Line, "values">): number {
  return values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
}

/** The largest lines, and one that adds up the rest. */
export function largest(lines: readonly Line[], others: string): Line[] {
  if (lines.length <= MOST) return [...lines];
  const rest = lines.slice(MOST - 1);
  const sums = rest[0]!.values.map((_, at) => rest.reduce((sum, { values }) => sum + (values[at] ?? 0), 0));
  return [...lines.slice(0, MOST - 1), { id: "others", name: others, values: sums }];
}

/** A table as RFC 4180 writes it; spreadsheets run nothing that is in it. */
export function csv(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  return [head, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function cell(value: string | number | null): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value ?? "") ? `'${value}` : (value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
