import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import type { Timeseries } from "../../api/generated";
import { CHARTS } from "./charts";
import { amount, written } from "./format";
import { MOST, csv, largest, linesOf, total } from "./lines";
import { dayAfter, dayText, lastDay, readPeriod } from "./period";
import { words } from "./words";

const NOW = new Date(2026, 10, 26, 20, 15);
const period = (text: string) => readPeriod(new URLSearchParams(text), NOW);
const chart = (id: string) => CHARTS.find((each) => each.id === id)!;
const answer = (series: Timeseries["series"]) => ({ times: ["a", "b"], series }) as unknown as Timeseries;

test("a period begins with a whole hour, day or month and takes steps that suit it", () => {
  expect(dayText(period("").from)).toBe("2026-10-28");
  expect(period("period=24h").from).toEqual(new Date(2026, 10, 25, 21));
  expect(period("period=12m").from).toEqual(new Date(2025, 11, 1));
  expect(period("period=7d&by=hour").interval).toBe("hour");
  expect(period("period=12m&by=hour").interval).toBe("month");
  expect(period("period=nonsense").name).toBe("30d");
});

test("days of one's own count with both ends, and only when they make sense", () => {
  const own = period("period=own&from=2026-03-01&to=2026-03-31");
  expect([own.from, own.to]).toEqual([new Date(2026, 2, 1), new Date(2026, 3, 1)]);
  expect(dayText(lastDay(own, NOW))).toBe("2026-03-31");
  expect(own.interval).toBe("day");
  for (const wrong of ["from=2026-03-02&to=2026-03-01", "from=2026-02-31&to=2026-03-01", "from=x&to=y", ""]) {
    expect(period(`period=own&${wrong}`).name).toBe("30d");
  }
});

test("the day after is the calendar's, also where a day has 25 hours", () => {
  const { TZ } = process.env;
  process.env["TZ"] = "Europe/Berlin";
  try {
    const night = new Date(2026, 9, 25, 0, 30);
    expect(dayText(new Date(night.getTime() + 86_400_000)), "this is a day of 25 hours").toBe("2026-10-25");
    expect(dayText(dayAfter(readPeriod(new URLSearchParams(""), night), night))).toBe("2026-10-26");
    expect(dayText(dayAfter(period("period=own&from=2026-10-20&to=2026-10-25"), NOW))).toBe("2026-10-26");
  } finally {
    if (TZ === undefined) delete process.env["TZ"];
    else process.env["TZ"] = TZ;
  }
});

test("lines stand in their order; refused files by size, without those that were taken", () => {
  const states = ["cancelled", "completed", "running", "failed"];
  const lines = linesOf(
    answer(states.map((state) => ({ key: { state }, values: [1, state === "failed" ? 0 : 2] }))),
    chart("analyses").naming(words.en, "total"),
  );
  expect(lines.map(({ id }) => id)).toEqual(["completed", "failed", "cancelled"]);
  const files = linesOf(
    answer([
      { key: { outcome: "accepted" }, values: [90, 0] },
      { key: { outcome: "localizer" }, values: [1, 0] },
      { key: { outcome: "not_ct" }, values: [1, 5] },
      { key: { outcome: "empty" }, values: [0, 0] },
    ]),
    chart("refused").naming(words.de, "total"),
  );
  expect(files.map(({ name }) => name)).toEqual(["Kein CT", "Übersichtsaufnahme (Localizer)"]);
});

test("what is too much for eyes is added up, and nothing is lost", () => {
  const lines = Array.from({ length: 12 }, (_, at) => ({ id: `${at}`, name: `${at}`, values: [20 - at, null] }));
  const shown = largest(lines, "Others");
  expect(shown).toHaveLength(MOST);
  expect(shown.reduce((sum, line) => sum + total(line), 0)).toBe(lines.reduce((sum, line) => sum + total(line), 0));
});

test("a table is written so that spreadsheets read it and run nothing", () => {
  expect(csv(["a", 'b "c", d'], [["=1+1", -2.5], ["x\ny", null]])).toBe('a,"b ""c"", d"\r\n\'=1+1,-2.5\r\n"x\ny",\r\n');
});

test("durations are told in the unit that fits", () => {
  expect([40, 2500, 90_000, 5_400_000].map((ms) => amount(ms, "ms", "en"))).toEqual(["40 ms", "2.5 sec", "1.5 min", "1.5 hr"]);
  expect(amount(12_345.6, "count", "de")).toBe("12.345,6");
});

test("a tile shows nothing of another time's answer, and a dash where there is none", () => {
  const former = { data: 7 };
  expect(written<number>({ ...former, currentData: undefined }, String)).toBeUndefined();
  expect(written<number>({ ...former, currentData: undefined, error: { status: 503 } }, String)).toBe("–");
  expect(written({ currentData: 0 }, String)).toBe("0");
  expect(written({ currentData: 8, error: { status: 503 } }, String)).toBe("8");
});

test("every refusal has its words", () => {
  const sentences = readFileSync(new URL("../../../../../ingest/codetect_ingest/dicom/refusals.py", import.meta.url), "utf8");
  const codes = [...sentences.matchAll(/^ {4}[A-Z_]+ = \(?\s*"([a-z_]+)"/gm)].map(([, code]) => `refused_${code}`);
  expect(codes.length).toBeGreaterThan(25);
  expect(codes.filter((code) => !(code in words.en))).toEqual([]);
});

const css = readFileSync(new URL("figures.css", import.meta.url), "utf8");
const colours = (block: string) =>
  [...css.slice(css.indexOf(block)).split("}")[0]!.matchAll(/--series-\d: (#\w{6})/g)].map(([, colour]) => colour!);
const channels = (colour: string) =>
  [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
const luminance = (colour: string) => channels(colour).reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at]!, 0);
const contrast = (a: string, b: string) => {
  const [low, high] = [luminance(a), luminance(b)].toSorted((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
};
/** Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB. */
const DEFICIENCIES = {
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
};
const f = (value: number) => (value > 0.008_856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);
const lab = ([r, g, b]: readonly number[]) => {
  const x = f((0.4124 * r! + 0.3576 * g! + 0.1805 * b!) / 0.9505);
  const y = f(0.2126 * r! + 0.7152 * g! + 0.0722 * b!);
  const z = f((0.0193 * r! + 0.1192 * g! + 0.9505 * b!) / 1.089);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
};
const seenWith = (m: readonly number[], colour: string) => {
  const c = channels(colour);
  return lab([0, 3, 6].map((row) => Math.max(0, m[row]! * c[0] + m[row + 1]! * c[1] + m[row + 2]! * c[2])));
};

test.each([
  ["light", ".figures {", "#ffffff"],
  ["dark", ".bp6-dark .figures {", "#252a31"],
])("the colours of the %s theme stand out and are told apart with any colour vision", (_, block, surface) => {
  const found = colours(block);
  expect(found).toHaveLength(MOST);
  for (const colour of found) expect(contrast(colour, surface), colour).toBeGreaterThanOrEqual(3);
  for (const [name, matrix] of Object.entries(DEFICIENCIES)) {
    // Those that stand side by side, and the first four, which most charts have.
    for (let a = 0; a < found.length; a += 1) {
      for (let b = a + 1; b < found.length; b += 1) {
        const [one, other] = [seenWith(matrix, found[a]!), seenWith(matrix, found[b]!)];
        const apart = Math.hypot(...one.map((value, at) => value - other[at]!));
        if (b === a + 1 || b < 4) expect(apart, `${name}: ${found[a]} beside ${found[b]}`).toBeGreaterThan(12);
      }
    }
  }
});
