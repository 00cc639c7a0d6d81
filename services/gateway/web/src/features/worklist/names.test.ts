import { expect, test } from "vitest";

import { readableName } from "./names";

test("names are read as people write them", () => {
  expect(readableName("Doe^Jane^Q^Dr")).toBe("Doe, Jane Q");
  expect(readableName("Müller")).toBe("Müller");
  expect(readableName("Yamada^Tarou=山田^太郎")).toBe("Yamada, Tarou");
  expect(readableName("^Jane")).toBe("Jane");
  expect(readableName(null)).toBe("");
});
