import { expect, test } from "vitest";

import { inWords } from "../words/problems";
import { serialize } from "./base";
import { asProblem, toProblem } from "./problems";

test("lists are repeated and what isn't there is left out", () => {
  expect(serialize({ q: "a b", tag: ["x", "y"], cursor: null, status: undefined, limit: 0 })).toBe(
    "q=a+b&tag=x&tag=y&limit=0",
  );
});

test("the API's problem is kept with its words; a network's failure becomes one", () => {
  const data = { type: "urn:codetect:problem:login-refused", title: "Wrong.", status: 401, detail: "Or so." };
  const problem = toProblem({ status: 401, data });
  expect(problem).toMatchObject({ type: "login-refused", status: 401, title: "Wrong.", detail: "Or so." });
  expect(inWords(problem, "en")).toBe("Wrong. Or so.");
  expect(inWords(problem, "de")).toBe("Die E-Mail-Adresse oder das Passwort stimmt nicht.");
  const offline = toProblem({ status: "FETCH_ERROR", error: "TypeError" });
  expect(offline).toMatchObject({ type: "offline", status: 0 });
  expect(inWords(offline, "en")).toContain("Check the connection");
});

test("an answer that is no problem, as of a proxy in between, is told without its text", () => {
  const meta = { response: new Response(null, { headers: { "X-Request-Id": "r1" } }) };
  const problem = toProblem(
    { status: "PARSING_ERROR", originalStatus: 502, data: "<html>nginx</html>", error: "SyntaxError" },
    meta as Parameters<typeof toProblem>[1],
  );
  expect(problem).toMatchObject({ type: "unexpected", status: 502, requestId: "r1" });
  expect(inWords(problem, "en")).not.toContain("nginx");
  expect(asProblem(new Error("secret"))?.title).not.toContain("secret");
  expect(asProblem(undefined)).toBeUndefined();
});
