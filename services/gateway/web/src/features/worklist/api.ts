/** The worklist's rows: loaded part by part, and changed in place by what the WebSocket tells. */
import { api } from "../../api/api";
import type { AnalysisPage, Status } from "../../api/generated";
import { serialize } from "../../api/base";
import { listen } from "../../app/listening";
import { eventTold, gapFound } from "../../live/slice";
import { type Progress, isAnotherOf, progress, upsert } from "./rows";

export interface Filters {
  q?: string | undefined;
  status?: Status | undefined;
}

const PART = 100;

export const worklistApi = api.injectEndpoints({
  endpoints: (build) => ({
    worklist: build.infiniteQuery<AnalysisPage, Filters, string | null>({
      infiniteQueryOptions: { initialPageParam: null, getNextPageParam: ({ next }) => next ?? undefined },
      query: ({ queryArg, pageParam }) => `/api/v1/analyses?${serialize({ ...queryArg, cursor: pageParam, limit: PART })}`,
      providesTags: ["analyses"],
    }),
  }),
});

export const { useWorklistInfiniteQuery } = worklistApi;

listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type, data } }, { dispatch, getState }) => {
    if (!data || !type.startsWith("codetect.analysis.")) return;
    const lists = worklistApi.util.selectCachedArgsForQuery(getState(), "worklist");
    if (type === "codetect.analysis.progressed.v1") {
      for (const filters of lists) {
        dispatch(worklistApi.util.updateQueryData("worklist", filters, ({ pages }) => progress(pages, data as unknown as Progress)));
      }
      return;
    }
    if (lists.length === 0) return;
    const about = { analysisId: String(data["analysis_id"]) };
    // One that is on its way may have been answered before this happened.
    await dispatch(api.util.getRunningQueryThunk("getAnalysis", about));
    const { data: analysis } = await dispatch(
      api.endpoints.getAnalysis.initiate(about, { forceRefetch: true, subscribe: false }),
    );
    const reload = (filters: Filters) =>
      void dispatch(worklistApi.endpoints.worklist.initiate(filters, { forceRefetch: true, subscribe: false }));
    for (const filters of lists) {
      if (filters.q || filters.status) {
        // Whether it belongs among these is the server's to say.
        reload(filters);
      } else if (analysis) {
        dispatch(worklistApi.util.updateQueryData("worklist", filters, ({ pages }) => upsert(pages, analysis)));
        const { data: list } = worklistApi.endpoints.worklist.select(filters)(getState());
        // What was there of this study before may be superseded now.
        if (list && isAnotherOf(list.pages, analysis)) reload(filters);
      }
    }
  },
});

listen({
  actionCreator: gapFound,
  effect: (_, { dispatch }) => {
    dispatch(api.util.invalidateTags(["analyses"]));
  },
});
