import { expect, test } from "vitest";

import { identifierIn } from "./identifiers";

// As tests/ingest/test_uploads.py has them of the API.
test.each([
  ["DOE^JANE", "dicomName"],
  ["Frau Müller, ward 7", "person"],
  ["born 1950-03-12", "date"],
  ["born 12. März 1950", "date"],
  ["MRN 4711", "patientNumber"],
  ["00471108", "longNumber"],
  ["jane.doe@clinic.example", "email"],
  ["prior 1.2.840.113619.2.55.3", "uid"],
  ["call +49 30 1234567", "telephone"],
])("%s would be refused", (text, what) => {
  expect(identifierIn(text)).toBe(what);
});

test.each(["", "trial 12, visit 3", "A-2041/7", "01234567-8901-7234-8567-890123456789", "baseline 2024", "ward 7, bed 3", "frau im Dienst"])(
  "%s is nobody's",
  (text) => {
    expect(identifierIn(text)).toBeUndefined();
  },
);
