import { expect, test } from "vitest";

import type { AnalysisOut } from "../../api/generated";
import { inItsPlace, isSuperseded, toOpen } from "./place";

const analysis = (id: string, day: number, status: AnalysisOut["status"] = "completed", superseded = false, name = "m") =>
  ({ id, created_at: `2026-11-0${day}T00:00:00Z`, status, superseded, model: { name } }) as AnalysisOut;

test("the newest result that stands is opened, whatever was asked for since", () => {
  for (const later of ["queued", "running", "failed", "cancelled"] as const) {
    expect(toOpen([analysis("later", 3, later), analysis("old", 1), analysis("new", 2)])?.id).toBe("new");
  }
  expect(toOpen([analysis("gone", 3, "completed", true), analysis("stands", 2)])?.id).toBe("stands");
});

test("without a result that stands, it is the newest that stands, and else the newest", () => {
  const gone = analysis("gone", 3, "completed", true);
  expect(toOpen([gone, analysis("failed", 1, "failed"), analysis("waits", 2, "queued")])?.id).toBe("waits");
  expect(toOpen([analysis("first", 1, "cancelled", true), gone])?.id).toBe("gone");
  expect(toOpen([])).toBeUndefined();
});

test("the list knows that one is superseded before the analysis itself is read again", () => {
  const shown = analysis("a", 1);
  expect(isSuperseded(shown, [analysis("b", 2), analysis("a", 1, "completed", true)])).toBe(true);
  expect(isSuperseded(shown, [analysis("a", 1)])).toBe(false);
  expect(isSuperseded(analysis("a", 1, "completed", true), [])).toBe(true);
});

test("from a superseded one the way leads to the same model's result that stands", () => {
  const gone = analysis("a", 1, "completed", true);
  const listed = [analysis("failed", 4, "failed"), analysis("other", 3, "completed", false, "n"), analysis("b", 2), gone];
  expect(inItsPlace(gone, listed)?.id).toBe("b");
  expect(inItsPlace(gone, [gone, analysis("c", 2, "completed", true)])).toBeUndefined();
});
