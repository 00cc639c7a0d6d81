import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { type Identifier, identifierIn } from "./identifiers";

/** What the API's own rules are tested by. */
const file = new URL("../../../../../../tests/shared/identifiers.json", import.meta.url);
const examples = JSON.parse(readFileSync(file, "utf8")) as { found: Record<string, string>; let_through: string[] };
const API_SAYS: Record<Identifier, string> = {
  dicomName: "a name as DICOM writes it",
  person: "a person's name",
  date: "a date",
  email: "an e-mail address",
  uid: "a DICOM UID",
  telephone: "a telephone number",
  patientNumber: "a patient's number",
  longNumber: "a long number",
};

test.each(Object.entries(examples.found))("%s would be refused", (text, what) => {
  const found = identifierIn(text);
  expect(found && API_SAYS[found]).toBe(what);
});

test.each(examples.let_through)("%s is nobody's", (text) => {
  expect(identifierIn(text)).toBeUndefined();
});
