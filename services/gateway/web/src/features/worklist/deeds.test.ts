import { expect, test } from "vitest";

import type { AnalysisOut } from "../../api/generated";
import { parts, reasons, reverse } from "./deeds";

const row = (id: string, tags: string[] = [], folder: string | null = null, priority: "urgent" | "routine" = "routine") =>
  ({ id, tags, folder, priority }) as AnalysisOut;

test("more than a request takes go in parts", () => {
  const ids = Array.from({ length: 401 }, (_, n) => String(n));
  expect(parts({ do: "cancel", ids }).map((part) => part.ids.length)).toEqual([200, 200, 1]);
  expect(parts({ do: "cancel", ids: [] })).toEqual([]);
});

test("a tag is taken from those alone that it was given to", () => {
  const rows = [row("a", ["x"]), row("b")];
  const ids = ["a", "b"];
  expect(reverse({ do: "organise", ids, change: { add_tags: ["x"] } }, rows)).toEqual([
    { do: "organise", ids: ["b"], change: { remove_tags: ["x"] } },
  ]);
  expect(reverse({ do: "organise", ids, change: { remove_tags: ["x"] } }, rows)).toEqual([
    { do: "organise", ids: ["a"], change: { add_tags: ["x"] } },
  ]);
});

test("each goes back to the folder and the priority it had", () => {
  const rows = [row("a", [], "March"), row("b"), row("c", [], "April"), row("d", [], "March", "urgent")];
  expect(reverse({ do: "organise", ids: [], change: { folder: "April" } }, rows)).toEqual([
    { do: "organise", ids: ["a", "d"], change: { folder: "March" } },
    { do: "organise", ids: ["b"], change: { folder: null } },
  ]);
  expect(reverse({ do: "organise", ids: [], change: { priority: "urgent" } }, rows)).toEqual([
    { do: "organise", ids: ["a", "b", "c"], change: { priority: "routine" } },
  ]);
});

test("what was cancelled is queued again, and the other way round", () => {
  expect(reverse({ do: "cancel", ids: ["a"] }, [row("a")])).toEqual([{ do: "rerun", ids: ["a"] }]);
  expect(reverse({ do: "rerun", ids: ["a"] }, [])).toEqual([]);
});

test("a reason is told once", () => {
  const problem = { code: "wrong-state", detail: "It is completed." };
  expect(reasons([{ id: "a", problem }, { id: "b", problem }, { id: "c" }])).toEqual([problem]);
});
