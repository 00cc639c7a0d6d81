import { expect, test } from "vitest";

import { ownPath } from "../features/wayin/session";
import { readPreferences } from "./preferences";

test("what was kept counts, as far as it makes sense", () => {
  expect(readPreferences(null, ["de-AT", "en"])).toEqual({ language: "de", theme: "system" });
  expect(readPreferences(null, ["fr", "pl"])).toEqual({ language: "en", theme: "system" });
  expect(readPreferences('{"language":"en","theme":"dark"}', ["de"])).toEqual({ language: "en", theme: "dark" });
  expect(readPreferences('{"language":"xx","theme":"pink"}', ["de"])).toEqual({ language: "de", theme: "system" });
  expect(readPreferences("no JSON", ["en"])).toEqual({ language: "en", theme: "system" });
});

test("a login leads to our own pages alone", () => {
  expect(ownPath("/worklist?q=x")).toBe("/worklist?q=x");
  for (const elsewhere of [null, "", "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]) {
    expect(ownPath(elsewhere)).toBe("/");
  }
});
