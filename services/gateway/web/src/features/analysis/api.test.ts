import { afterEach, expect, test, vi } from "vitest";

import { makeStore } from "../../app/store";
import { eventTold } from "../../live/slice";
import { api } from "../../api/api";
import "./api";
import { OF_STUDY, isSuperseded } from "./place";

afterEach(() => vi.unstubAllGlobals());

test("a list that was on its way when another result came is read again: it doesn't know yet", async () => {
  const answers: ((superseded: boolean) => void)[] = [];
  vi.stubGlobal("Request", class extends Request {
    constructor(input: string, init?: RequestInit) {
      super(new URL(input, "http://demo.localhost"), init);
    }
  });
  vi.stubGlobal("fetch", () =>
    new Promise((answer) => {
      answers.push((superseded) => answer(Response.json({ items: [{ id: "a", superseded }], next: null })));
    }),
  );
  const store = makeStore({ theme: "light", language: "en" });
  const asked = store.dispatch(api.endpoints.listAnalyses.initiate(OF_STUDY("s")));
  await vi.waitFor(() => expect(answers).toHaveLength(1));
  store.dispatch(
    eventTold({
      type: "codetect.analysis.completed.v1",
      cursor: "1.x",
      data: { subject: "analysis/b", sequence: 3, study_id: "s", analysis_id: "b" },
    }),
  );
  answers[0]?.(false);
  await asked;
  await vi.waitFor(() => expect(answers).toHaveLength(2));
  answers[1]?.(true);
  const items = () => api.endpoints.listAnalyses.select(OF_STUDY("s"))(store.getState()).data?.items ?? [];
  await vi.waitFor(() => expect(isSuperseded(items()[0]!, items())).toBe(true));
  asked.unsubscribe();
});
