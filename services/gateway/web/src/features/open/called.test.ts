import { expect, test } from "vitest";

import { calledIn } from "./called";

test("a link calls a study by number or UID, in the query or behind the hash", () => {
  expect(calledIn("?accession=A%201", "")).toEqual({ accession_number: "A 1" });
  expect(calledIn("?StudyInstanceUID=1.2.3", "")).toEqual({ study_instance_uid: "1.2.3" });
  expect(calledIn("?accession=old", "#study_uid=1.2")).toEqual({ study_instance_uid: "1.2" });
  expect(calledIn("?accession=%20", "")).toBeUndefined();
});
