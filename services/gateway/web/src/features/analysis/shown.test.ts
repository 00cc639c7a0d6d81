import { expect, test } from "vitest";

import type { Bundle } from "../../api/generated";
import { inWords } from "./reasons";
import { testOf } from "./shown";
import { words } from "./words";

const card = (labels: string[], tests: string[]) =>
  ({ labels: labels.map((name) => ({ name })), metrics: tests.map((data) => ({ data })) }) as Bundle;

test("a test is told beside a finding only where it can be of no other finding", () => {
  expect(testOf(card(["a"], ["val", "elsewhere"]))?.data).toBe("val");
  expect(testOf(card(["a", "b"], ["val: a", "val: b"]))).toBeUndefined();
  expect(testOf(card(["a"], []))).toBeUndefined();
});

test("how far numbers were off names the data, and isn't rounded to nothing", () => {
  expect(words.en.calibration("val", 0.0283)).toContain("test on val, slice by slice, the model's numbers were off by 2.8 %");
  expect(words.de.calibration("val", 0.0283)).toContain("um 2,8 %");
  expect(words.en.calibration("val", 0.1535)).toContain("by 15 %");
});

test("why one failed is German for those who chose it; what nobody translated is told as it came", () => {
  expect(inWords({ code: "no_lung", detail: "No slice shows lung." }, "de")).toContain("Keine Schicht");
  expect(inWords({ code: "no_lung", detail: "No slice shows lung." }, "en")).toBe("No slice shows lung.");
  expect(inWords({ code: "new", detail: "As it came." }, "de")).toBe("As it came.");
});
