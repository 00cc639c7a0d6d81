import { expect, test, vi } from "vitest";

import type { IdentityOut } from "../../api/generated";
import { Together } from "./identities";

const who = (study_id: string) => ({ study_id, patient_name: `N ${study_id}` }) as IdentityOut;

test("what is in sight is asked for at once, in parts of 200, and what isn't kept is null", async () => {
  vi.useFakeTimers();
  const together = new Together();
  const asked: string[][] = [];
  const ask = async (ids: string[]) => {
    asked.push(ids);
    return { data: { items: ids.filter((id) => id !== "7").map(who) } };
  };
  const answers = Array.from({ length: 250 }, (_, n) => together.ask(String(n), ask));
  const same = together.ask("3", ask);
  await vi.runAllTimersAsync();
  expect(asked.map((ids) => ids.length)).toEqual([200, 50]);
  expect(await answers[3]).toEqual({ data: who("3") });
  expect(await same).toEqual({ data: who("3") });
  expect(await answers[7]).toEqual({ data: null });
  vi.useRealTimers();
});

test("what goes wrong is told to each", async () => {
  vi.useFakeTimers();
  const together = new Together();
  const error = { type: "forbidden", status: 403, title: "No." };
  const answers = ["a", "b"].map((id) => together.ask(id, async () => ({ error })));
  await vi.runAllTimersAsync();
  expect(await Promise.all(answers)).toEqual([{ error }, { error }]);
  vi.useRealTimers();
});
