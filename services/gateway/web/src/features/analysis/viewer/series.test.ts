import { expect, test } from "vitest";

import type { AnalysisOut, FindingOut } from "../../../api/generated";
import { plane } from "./plane";
import { type Series, firstSlice } from "./series";

const finding = (probability: number, positive: boolean, slice?: number) =>
  ({ label: `at ${slice}`, probability, positive, peak: slice === undefined ? null : { slice } }) as FindingOut;
const analysis = (findings: FindingOut[], top_slices: number[] = []) => ({ findings, top_slices }) as unknown as AnalysisOut;
const series = (spacing: Series["spacing"]) =>
  ({ analysisId: "a", items: [], orientation: [1, 0, 0, 0, 1, 0], rows: 4, columns: 4, spacing }) as unknown as Series;

test("the first slice argues for the finding whose heatmap is shown: a positive one before a likelier one", () => {
  expect(firstSlice(analysis([finding(0.9, false, 3), finding(0.6, true, 7)]), 20)).toBe(7);
  expect(firstSlice(analysis([finding(0.2, false, 3), finding(0.1, false, 7)]), 20)).toBe(3);
  expect(firstSlice(analysis([finding(0.2, false)], [5]), 20)).toBe(5);
  expect(firstSlice(analysis([]), 20)).toBe(10);
});

test("where pixels have no known size, Cornerstone is told so and calls no length millimetres", () => {
  expect(plane(series([0.7, 0.8]), 0)).toMatchObject({ pixelSpacing: [0.7, 0.8], usingDefaultValues: false });
  expect(plane(series(undefined), 0)).toMatchObject({ pixelSpacing: [1, 1], usingDefaultValues: true });
});
