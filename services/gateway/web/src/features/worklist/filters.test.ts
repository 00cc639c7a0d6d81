import { expect, test } from "vitest";

import { changed, counted, isPlain, readShown, toFilters } from "./filters";

const shown = (query: string) => readShown(new URLSearchParams(query));
const start = (day: number) => new Date(2026, 10, day).toISOString();
const NOON = new Date(2026, 10, 26, 12);

test("an address that says nothing is the plain list", () => {
  expect(isPlain(toFilters(shown("")))).toBe(true);
  expect(isPlain(toFilters(shown("sort=newest&mine=no&status=unknown&from=tomorrow")))).toBe(true);
  expect(isPlain(toFilters(shown("urgent=true")))).toBe(false);
  expect(isPlain(toFilters(shown("result=negative")))).toBe(false);
});

test("states, results and orders are said in the API's words", () => {
  expect(toFilters(shown("status=open&result=negative&finding=covid_19&mine=true&urgent=true&sort=finished"))).toEqual({
    status: ["queued", "running"],
    positive: false,
    finding: "covid_19",
    mine: true,
    urgent_first: true,
    sort: "-finished_at",
  });
});

test("periods begin with a day of the browser's, and days end with their end", () => {
  expect(toFilters(shown("since=yesterday"), NOON)).toEqual({ from: start(25) });
  expect(toFilters(shown("since=today&from=2026-01-01&to=2026-01-02"), NOON)).toEqual({ from: start(26) });
  expect(toFilters(shown("from=2026-11-03&to=2026-11-03"), NOON)).toEqual({ from: start(3), to: start(4) });
});

test("one list has one address", () => {
  const before = new URLSearchParams("folder=March&q=x&utm=1");
  expect(changed(before, { status: "failed" }).toString()).toBe("status=failed&folder=March&q=x");
  expect(changed(before, { q: "", folder: "" }).toString()).toBe("");
});

test("orders and words aren't counted as filters, a span of days is one", () => {
  expect(counted(shown("q=x&sort=oldest&urgent=true"))).toBe(0);
  expect(counted(shown("status=failed&from=2026-11-03&to=2026-11-04&mine=true"))).toBe(3);
});
