import { cache, metaData } from "@cornerstonejs/core";
import { afterEach, expect, test, vi } from "vitest";

import { fetchSlice, forget, imageId, know, registerLoader } from "./loader";
import type { Series } from "./series";

const series = () =>
  ({ analysisId: "a", items: [{ n: 0 }], orientation: [1, 0, 0, 0, 1, 0], rows: 2, columns: 2 }) as unknown as Series;
const isKept = (of: Series) => cache.getImageLoadObject(imageId(of, 0)) !== undefined;
const told = (of: Series) => metaData.get("generalSeriesModule", imageId(of, 0)) as unknown;

afterEach(() => vi.unstubAllGlobals());

test("of a stage that has ended nothing stays: no slice that lands later, no series", async () => {
  registerLoader();
  const answers: ((answer: Response) => void)[] = [];
  vi.stubGlobal("fetch", () => new Promise((resolve) => answers.push(resolve)));
  const [one, other] = [series(), series()];
  know(one);
  const first = fetchSlice(one, 0);
  forget(one, Promise.resolve());
  answers.pop()?.(new Response(new Int16Array(4)));
  await first;
  expect(isKept(one)).toBe(false);
  expect(told(one)).toBeUndefined();

  know(one);
  know(other); // the same analysis on a second stage
  const second = fetchSlice(one, 0);
  answers.pop()?.(new Response(new Int16Array(4)));
  await second;
  forget(one, Promise.resolve());
  expect(isKept(other)).toBe(true);
  const ends: (() => void)[] = [];
  forget(other, new Promise<void>((resolve) => ends.push(resolve)));
  expect(isKept(other)).toBe(false);
  expect(told(other)).toMatchObject({ modality: "CT" }); // Cornerstone hasn't come to its end
  ends.pop()?.();
  await vi.waitFor(() => expect(told(other)).toBeUndefined());
});
