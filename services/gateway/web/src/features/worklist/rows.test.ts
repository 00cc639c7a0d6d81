import { expect, test } from "vitest";

import type { AnalysisOut, AnalysisPage, FindingOut } from "../../api/generated";
import { foremost, progress, upsert } from "./rows";

const row = (id: string, status: AnalysisOut["status"] = "queued") =>
  ({ id, status, slices_done: 0, slices_total: 0 }) as AnalysisOut;
const pages = (): AnalysisPage[] => [
  { items: [row("a"), row("b", "running")], next: "n" },
  { items: [row("c", "completed")], next: null },
];
const finding = (label: string, probability: number, positive: boolean) =>
  ({ label, probability, positive, threshold: 0.5 }) as FindingOut;
const ids = (of: AnalysisPage[]) => of.map(({ items }) => items.map(({ id }) => id));

test("a new analysis goes on top, a known one stays where it is", () => {
  const list = pages();
  upsert(list, row("new"));
  upsert(list, row("c", "failed"));
  expect(ids(list)).toEqual([["new", "a", "b"], ["c"]]);
  expect(list[1]?.items[0]?.status).toBe("failed");
});

test("progress is shown on what runs; what is over stays over", () => {
  const list = pages();
  for (const analysis_id of ["a", "b", "c", "unknown"]) progress(list, { analysis_id, slices_done: 3, slices_total: 9 });
  expect(list.flatMap(({ items }) => items.map(({ status, slices_done }) => [status, slices_done]))).toEqual([
    ["running", 3],
    ["running", 3],
    ["completed", 0],
  ]);
});

test("a positive finding comes before a likelier one that isn't", () => {
  expect(foremost([finding("x", 0.9, false), finding("y", 0.4, true), finding("z", 0.6, true)])?.label).toBe("z");
  expect(foremost([finding("x", 0.1, false), finding("y", 0.2, false)])?.label).toBe("y");
  expect(foremost([])).toBeUndefined();
});
