import { expect, test } from "vitest";

import { fromAddress } from "./filters";

test("an address is a search, as far as it makes sense", () => {
  const asked = new URLSearchParams("action=login&outcome=refused&subject=%20&study=x&limit=5");
  expect(fromAddress(asked)).toEqual({ action: "login", outcome: "refused", study: "x" });
  expect(fromAddress(new URLSearchParams("outcome=odd&from=yesterday&to="))).toEqual({});
});

test("the last day counts whole", () => {
  const { from, to } = fromAddress(new URLSearchParams("from=2026-11-25&to=2026-11-26"));
  expect(new Date(from ?? "")).toEqual(new Date("2026-11-25T00:00:00"));
  expect(new Date(to ?? "")).toEqual(new Date("2026-11-27T00:00:00"));
});
