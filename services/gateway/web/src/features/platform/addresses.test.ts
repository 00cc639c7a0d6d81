import { expect, test } from "vitest";

import { addressOf, domainsOf } from "./addresses";

test("a facility's address is beside the operators'", () => {
  expect(addressOf("north", { protocol: "http:", host: "admin.localhost:8080" })).toBe("http://north.localhost:8080/");
  expect(addressOf("x", { protocol: "https:", host: "admin.ct.example.org" })).toBe("https://x.ct.example.org/");
});

test("mail domains come with anything between", () => {
  expect(domainsOf(" a.example, b.example;c.example\nd.example ")).toEqual(["a.example", "b.example", "c.example", "d.example"]);
  expect(domainsOf(" ")).toEqual([]);
});
