import { afterEach, expect, test, vi } from "vitest";

import { Heatmaps } from "./heat";

afterEach(() => vi.unstubAllGlobals());

test("a heatmap that can't be had is a problem, whatever the reason, and is asked for anew", async () => {
  const gone = { type: "urn:codetect:problem:heatmap-not-found", title: "There is no such heatmap.", status: 404 };
  const answers = [Response.json(gone, { status: 404 }), new Response("picture")];
  vi.stubGlobal("Request", Object);
  vi.stubGlobal("fetch", async () => answers.shift());
  vi.stubGlobal("createImageBitmap", async (blob: Blob) => ({ drawn: await blob.text() }));
  const heatmaps = new Heatmaps("a", "grey");
  await expect(heatmaps.of(3)).rejects.toMatchObject({ type: "heatmap-not-found", status: 404 });
  expect(await heatmaps.of(3)).toEqual({ drawn: "picture" });
  expect(await heatmaps.of(3)).toEqual({ drawn: "picture" });
});
