import { expect, test } from "vitest";

import type { SettingsOut } from "../../../api/generated";
import { back, changes, erasesSooner, toForm } from "./form";

const before: SettingsOut = {
  profile: "seal",
  others: "refuse",
  quiet_s: 30,
  retention_days: null,
  quota_bytes: 2_500_000_000,
  quota_studies: 100,
  quota_jobs: null,
  forgetting: false,
};

test("a form that nobody touched changes nothing", () => {
  expect(changes(toForm(before), before)).toEqual({});
});

test("what is different goes, and comes back by undo", () => {
  const form = { ...toForm(before), profile: "forget" as const, quota_gb: "", retention_days: "90", quiet_s: "" };
  const patch = changes(form, before);
  expect(patch).toEqual({ profile: "forget", quota_bytes: null, retention_days: 90 });
  expect(back(patch, before)).toEqual({ profile: "seal", quota_bytes: 2_500_000_000, retention_days: null });
});

test("keeping studies for less time is what erases", () => {
  expect(erasesSooner({ retention_days: 90 }, before)).toBe(true);
  expect(erasesSooner({ retention_days: 30 }, { ...before, retention_days: 90 })).toBe(true);
  expect(erasesSooner({ retention_days: 365 }, { ...before, retention_days: 90 })).toBe(false);
  expect(erasesSooner({ retention_days: null }, { ...before, retention_days: 90 })).toBe(false);
  expect(erasesSooner({ quiet_s: 5 }, before)).toBe(false);
});
