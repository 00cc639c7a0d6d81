import { expect, test } from "vitest";

import type { FindingOut } from "../api/generated";
import { foremost } from "./foremost";

const finding = (label: string, probability: number, positive: boolean) =>
  ({ label, probability, positive, threshold: 0.5 }) as FindingOut;

test("a positive finding comes before a likelier one that isn't", () => {
  expect(foremost([finding("x", 0.9, false), finding("y", 0.4, true), finding("z", 0.6, true)])?.label).toBe("z");
  expect(foremost([finding("x", 0.1, false), finding("y", 0.2, false)])?.label).toBe("y");
  expect(foremost([])).toBeUndefined();
});
