/** The figures' answers, and which events make them old. */
import { api } from "../../api/api";
import { listen } from "../../app/listening";
import type { AppDispatch, RootState } from "../../app/store";
import { eventTold, gapFound } from "../../live/slice";
import type { Figure } from "./lines";
import { Pace, type Shown } from "./pace";

type Read = Figure | "summary";

const WATCH = { type: "models", id: "watch" } as const;
const figuresApi = api.enhanceEndpoints({
  endpoints: {
    analyticsTimeseries: { providesTags: (_answer, _error, { metric }) => [{ type: "analytics", id: metric }] },
    analyticsSummary: { providesTags: [{ type: "analytics", id: "summary" }] },
    watchModel: { providesTags: [WATCH] },
  },
});
export const { useAnalyticsTimeseriesQuery, useAnalyticsSummaryQuery, useWatchModelQuery, useListModelsQuery } = figuresApi;

const ENDED: Read[] = ["summary", "analyses", "findings", "turnaround_ms", "out_of_distribution"];
const CHANGES: Record<string, Read[]> = {
  "codetect.analysis.queued.v1": ["summary"],
  "codetect.analysis.started.v1": ["summary"],
  "codetect.analysis.completed.v1": ENDED,
  "codetect.analysis.failed.v1": ENDED,
  "codetect.analysis.cancelled.v1": ENDED,
  "codetect.upload.imported.v1": ["summary", "files"],
  "codetect.upload.refused.v1": ["summary", "files"],
  "codetect.study.received.v1": ["summary", "studies"],
  "codetect.study.erased.v1": ["summary", "studies"],
  "codetect.feedback.given.v1": ["feedback"],
};
/** What the watch on a model counts; it tells no cursor. */
const WATCHED = new Set(["codetect.analysis.completed.v1", "codetect.feedback.given.v1", "codetect.feedback.adjudicated.v1"]);
const WATCH_PAUSE_MS = 3000;

let store: { dispatch: AppDispatch; getState: () => RootState } | undefined;
const pace = new Pace(
  () => (store ? shown(store.getState()) : []),
  (figures) => store?.dispatch(figuresApi.util.invalidateTags(figures.map((id) => ({ type: "analytics" as const, id })))),
);

function shown(state: RootState): Shown[] {
  const { analyticsTimeseries: series, analyticsSummary: summary } = figuresApi.endpoints;
  return [
    ...figuresApi.util
      .selectCachedArgsForQuery(state, "analyticsTimeseries")
      .map((asked) => ({ figure: asked.metric, counted: series.select(asked)(state).data?.counted })),
    ...figuresApi.util
      .selectCachedArgsForQuery(state, "analyticsSummary")
      .map((asked) => ({ figure: "summary", counted: summary.select(asked)(state).data?.counted })),
  ];
}

listen({
  actionCreator: eventTold,
  effect: ({ payload: { type, cursor } }, { dispatch, getState }) => {
    store = { dispatch, getState };
    pace.told(CHANGES[type] ?? [], cursor);
  },
});

let watching: ReturnType<typeof setTimeout> | undefined;
listen({
  actionCreator: eventTold,
  effect: ({ payload: { type } }, { dispatch }) => {
    if (!WATCHED.has(type)) return;
    watching ??= setTimeout(() => {
      watching = undefined;
      dispatch(figuresApi.util.invalidateTags([WATCH]));
    }, WATCH_PAUSE_MS);
  },
});

listen({
  actionCreator: gapFound,
  effect: (_, { dispatch }) => {
    dispatch(figuresApi.util.invalidateTags(["analytics", WATCH]));
  },
});
