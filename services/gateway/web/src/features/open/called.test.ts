import { expect, test } from "vitest";

import type { AnalysisOut } from "../../api/generated";
import { calledIn, toOpen } from "./called";

const analysis = (id: string, day: number, superseded: boolean) =>
  ({ id, created_at: `2026-11-0${day}T00:00:00Z`, superseded }) as AnalysisOut;

test("a link calls a study by number or UID, in the query or behind the hash", () => {
  expect(calledIn("?accession=A%201", "")).toEqual({ accession_number: "A 1" });
  expect(calledIn("?StudyInstanceUID=1.2.3", "")).toEqual({ study_instance_uid: "1.2.3" });
  expect(calledIn("?accession=old", "#study_uid=1.2")).toEqual({ study_instance_uid: "1.2" });
  expect(calledIn("?accession=%20", "")).toBeUndefined();
});

test("the newest that isn't superseded is opened", () => {
  const those = [analysis("old", 1, false), analysis("gone", 3, true), analysis("new", 2, false)];
  expect(toOpen(those)?.id).toBe("new");
  expect(toOpen([analysis("only", 1, true)])?.id).toBe("only");
  expect(toOpen([])).toBeUndefined();
});
