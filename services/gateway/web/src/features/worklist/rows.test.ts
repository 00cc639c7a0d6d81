import { expect, test } from "vitest";

import type { AnalysisOut, AnalysisPage } from "../../api/generated";
import { organise, progress, putBack, upsert } from "./rows";

const row = (id: string, status: AnalysisOut["status"] = "queued", at = "12:00:00.5") =>
  ({ id, status, slices_done: 0, slices_total: 0, created_at: `2026-11-26T${at}Z`, tags: [], folder: null, priority: "routine" }) as unknown as AnalysisOut;
const pages = (next: string | null = null): AnalysisPage[] => [
  { items: [row("a", "queued", "12:00:09"), row("b", "running", "12:00:07")], next: "n" },
  { items: [row("c", "completed", "12:00:05.000200")], next },
];
const ids = (of: AnalysisPage[]) => of.map(({ items }) => items.map(({ id }) => id));

test("a new analysis goes on top, a known one stays where it is", () => {
  const list = pages();
  upsert(list, row("new", "queued", "12:00:10"));
  upsert(list, row("c", "failed", "12:00:05.000200"));
  expect(ids(list)).toEqual([["new", "a", "b"], ["c"]]);
  expect(list[1]?.items[0]?.status).toBe("failed");
});

test("one that isn't loaded stands where its time is, and not before its page is there", () => {
  const [list, more] = [pages(), pages("further")];
  for (const [id, at] of [["d", "12:00:08"], ["e", "12:00:05.000300"], ["f", "12:00:05.000100"], ["g", "12:00:01"]] as const) {
    upsert(list, row(id, "cancelled", at));
    upsert(more, row(id, "cancelled", at));
  }
  expect(ids(list)).toEqual([["a", "d", "b"], ["e", "c", "f", "g"]]);
  expect(ids(more)).toEqual([["a", "d", "b"], ["e", "c"]]);
  const empty = [{ items: [], next: null }] as AnalysisPage[];
  upsert(empty, row("first"));
  expect(ids(empty)).toEqual([["first"]]);
});

test("what the server refuses is put back in its own rows, though others came meanwhile", () => {
  const list = pages();
  const before = organise(list, new Set(["a", "c"]), { add_tags: ["mine"], folder: "Board", priority: "urgent" });
  upsert(list, { ...row("new", "queued", "12:00:10"), tags: ["theirs"] });
  putBack(list, before);
  const all = list.flatMap(({ items }) => items.map(({ id, tags, folder, priority }) => [id, tags, folder, priority]));
  expect(all).toEqual([
    ["new", ["theirs"], null, "routine"],
    ["a", [], null, "routine"],
    ["b", [], null, "routine"],
    ["c", [], null, "routine"],
  ]);
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
