import { expect, test } from "vitest";

import { fingerprint } from "./fingerprint";
import { fromFile, isClutter } from "./sources";

const bytes = (text: string) => new TextEncoder().encode(text);

test("the same file has the same mark wherever it lies; another beginning, size or version another one", async () => {
  const mark = await fingerprint(bytes("DICM"), 10, "1");
  expect(mark).toMatch(/^[0-9a-f]{64}$/);
  expect(await fingerprint(bytes("DICM"), 10, "1")).toBe(mark);
  const others = await Promise.all([
    fingerprint(bytes("DICN"), 10, "1"),
    fingerprint(bytes("DICM"), 11, "1"),
    fingerprint(bytes("DICM"), 10, "2"),
  ]);
  expect(new Set([mark, ...others]).size).toBe(4);
});

test("a file is opened in parts, and sent without its own type", async () => {
  const source = fromFile(new File(["abcdef"], "Jane Doe.dcm", { type: "application/dicom", lastModified: 7 }), "folder/Jane Doe.dcm");
  expect([source.name, source.size, source.version]).toEqual(["folder/Jane Doe.dcm", 6, "7"]);
  expect(new TextDecoder().decode(await source.head(3))).toBe("abc");
  const blob = await source.blob();
  expect([blob.size, blob.type, "name" in blob]).toEqual([6, "application/octet-stream", false]);
});

test("what systems put beside images is left out by its name", () => {
  for (const name of ["a/.DS_Store", "__MACOSX/a/1.dcm", "a/._1.dcm", "DICOMDIR", "a\\Thumbs.db", "README", "LICENSE.txt", "notes.md"]) {
    expect(isClutter(name), name).toBe(true);
  }
  for (const name of ["a/1.dcm", "IM0001", "a/readings.dcm", "a/md"]) expect(isClutter(name), name).toBe(false);
});
