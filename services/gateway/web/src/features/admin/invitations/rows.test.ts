import { expect, test } from "vitest";

import { peopleIn } from "./rows";

test("people are found however they were written down", () => {
  const text = [
    "email,name,role",
    "ann@a.example,Ann Example,admin",
    "",
    "Ben Example; ben@a.example",
    'cara@a.example\t"Cara Example"\tVIEWER',
    "Dan Example <dan@a.example>",
    "eve@a.example",
  ].join("\r\n");
  expect(peopleIn(text, "member")).toEqual([
    { email: "ann@a.example", name: "Ann Example", role: "admin" },
    { email: "ben@a.example", name: "Ben Example", role: "member" },
    { email: "cara@a.example", name: "Cara Example", role: "viewer" },
    { email: "dan@a.example", name: "Dan Example", role: "member" },
    { email: "eve@a.example", name: "eve@a.example", role: "member" },
  ]);
});

test("what is no address goes along: the server says what is wrong with it", () => {
  expect(peopleIn("nobody", "viewer")).toEqual([{ email: "nobody", name: "nobody", role: "viewer" }]);
  expect(peopleIn("  \n ", "viewer")).toEqual([]);
});
