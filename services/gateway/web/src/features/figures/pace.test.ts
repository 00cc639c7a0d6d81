import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Pace, type Shown } from "./pace";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setUp(start: Shown[]) {
  const page = { shown: start };
  const asked: [number, string[]][] = [];
  const began = performance.now();
  const pace = new Pace(
    () => page.shown,
    (figures) => asked.push([performance.now() - began, figures]),
  );
  return { page, asked, pace };
}

test("reads again what an event changes, and goes on until it is counted", async () => {
  const { page, asked, pace } = setUp([
    { figure: "files", counted: "4.a" },
    { figure: "feedback", counted: "4.a" },
  ]);
  pace.told(["files"], "7.b");
  await vi.advanceTimersByTimeAsync(1200);
  expect(asked.map(([, figures]) => figures)).toEqual([["files"], ["files"]]);
  page.shown = [{ figure: "files", counted: "7.b" }];
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(2);
});

test("asks once a second at most, however much happens", async () => {
  const { page, asked, pace } = setUp([{ figure: "files", counted: null }]);
  for (let n = 1; n <= 50; n += 1) {
    pace.told(["files"], `${n}.x`);
    page.shown = [{ figure: "files", counted: `${n - 1}.x` }];
    await vi.advanceTimersByTimeAsync(100);
  }
  const times = asked.map(([at]) => at);
  expect(times.length).toBeGreaterThan(3);
  for (let n = 1; n < times.length; n += 1) expect(times[n]! - times[n - 1]!).toBeGreaterThanOrEqual(1000);
});

test("waits for a first answer that is on its way, and looks whether it counts the event", async () => {
  const { page, asked, pace } = setUp([{ figure: "files", counted: undefined }]);
  pace.told(["files"], "7.b");
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([]);
  page.shown = [{ figure: "files", counted: "6.a" }];
  await vi.advanceTimersByTimeAsync(1500);
  expect(asked[0]?.[1]).toEqual(["files"]);
});

test("gives up when nothing counts any more, until something happens again", async () => {
  const { asked, pace } = setUp([{ figure: "files", counted: null }]);
  pace.told(["files"], "7.b");
  await vi.advanceTimersByTimeAsync(300_000);
  const before = asked.length;
  expect(before).toBeLessThan(40);
  pace.told(["files"], "8.c");
  await vi.advanceTimersByTimeAsync(1500);
  expect(asked.length).toBeGreaterThan(before);
});
