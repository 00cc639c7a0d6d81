/** The worklist's rows: loaded part by part, and changed in place by what the WebSocket tells. */
import { api } from "../../api/api";
import { serialize } from "../../api/base";
import type { AnalysisPage, IdentityOut } from "../../api/generated";
import { type AppDispatch, type RootState } from "../../app/store";
import { listen } from "../../app/listening";
import { eventTold, gapFound } from "../../live/slice";
import { type Filters, isPlain } from "./filters";
import { identities } from "./identities";
import { type Organised, type Progress, isAnotherOf, organise, progress, putBack, replace, upsert } from "./rows";

const PART = 100;
/** Of an erased study the analyses go a moment after it was told. */
const ERASED_MS = 2000;
/** What happens within this time is looked at together. */
const TOGETHER_MS = 250;
/** So many analyses are asked for one by one; of more, the list is. */
const FEW = 5;

export const worklistApi = api.injectEndpoints({
  endpoints: (build) => ({
    worklist: build.infiniteQuery<AnalysisPage, Filters, string | null>({
      infiniteQueryOptions: { initialPageParam: null, getNextPageParam: ({ next }) => next ?? undefined },
      query: ({ queryArg, pageParam }) => `/api/v1/analyses?${serialize({ ...queryArg, cursor: pageParam, limit: PART })}`,
      providesTags: (_result, _error, filters) => ["analyses", listTag(filters)],
    }),
    /** Whose study it is, for those with the right; null where that isn't kept. */
    identity: build.query<IdentityOut | null, string>({
      queryFn: (studyId, { dispatch }) =>
        identities.ask(studyId, (ids) =>
          dispatch(api.endpoints.listIdentities.initiate({ identitiesRequest: { ids } }, { track: false })),
        ),
    }),
  }),
});

export const { useWorklistInfiniteQuery, useIdentityQuery } = worklistApi.enhanceEndpoints({
  endpoints: {
    listIdentities: { invalidatesTags: [] },
    listFacets: { providesTags: ["analyses", { type: "analyses", id: "facets" }] },
    changeAnalyses: {
      async onQueryStarted({ bulkRequest: { ids, do: what, change } }, { dispatch, getState, queryFulfilled }) {
        const lists = worklistApi.util.selectCachedArgsForQuery(getState() as RootState, "worklist");
        const each = (recipe: (pages: AnalysisPage[]) => void) =>
          lists.forEach((filters) =>
            dispatch(worklistApi.util.updateQueryData("worklist", filters, ({ pages }) => recipe(pages))),
          );
        const before: Organised = new Map();
        if (what === "organise" && change) {
          each((pages) => organise(pages, new Set(ids), change).forEach((was, id) => before.set(id, was)));
        }
        try {
          const { data } = await queryFulfilled;
          each((pages) => {
            for (const { analysis } of data.items) if (analysis) replace(pages, analysis);
          });
        } catch {
          each((pages) => putBack(pages, before));
        }
      },
    },
  },
});

const touched = new Set<string>();
/** After these there may be another tag, folder or positive finding to filter by. */
const COUNTED = new Set(["codetect.analysis.completed.v1", "codetect.analysis.organised.v1"]);
let counted = false;

listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type, data } }, { dispatch, getState, delay }) => {
    if (!data || !type.startsWith("codetect.analysis.")) return;
    if (type === "codetect.analysis.progressed.v1") {
      for (const filters of worklistApi.util.selectCachedArgsForQuery(getState(), "worklist")) {
        dispatch(worklistApi.util.updateQueryData("worklist", filters, ({ pages }) => progress(pages, data as unknown as Progress)));
      }
      return;
    }
    const first = touched.size === 0;
    touched.add(String(data["analysis_id"]));
    counted ||= COUNTED.has(type);
    if (!first) return;
    await delay(TOGETHER_MS);
    const ids = [...touched];
    touched.clear();
    if (counted) dispatch(api.util.invalidateTags([{ type: "analyses", id: "facets" }]));
    counted = false;
    await catchUp(ids, dispatch, getState);
  },
});

/** Of the plain list a few rows are put right; whether they belong among filtered or sorted ones is the server's to say. */
async function catchUp(ids: string[], dispatch: AppDispatch, getState: () => RootState): Promise<void> {
  const lists = worklistApi.util.selectCachedArgsForQuery(getState(), "worklist");
  if (lists.length === 0) return;
  const plain = lists.find(isPlain);
  const few = plain && ids.length <= FEW;
  dispatch(api.util.invalidateTags(lists.filter((filters) => !few || !isPlain(filters)).map(listTag)));
  if (!few) return;
  const newest = async (analysisId: string) => {
    // One that is on its way may have been answered before this happened.
    await dispatch(api.util.getRunningQueryThunk("getAnalysis", { analysisId }));
    const { data: analysis } = await dispatch(
      api.endpoints.getAnalysis.initiate({ analysisId }, { forceRefetch: true, subscribe: false }),
    );
    return analysis;
  };
  for (const analysis of await Promise.all(ids.map(newest))) {
    if (!analysis) continue;
    dispatch(worklistApi.util.updateQueryData("worklist", plain, ({ pages }) => upsert(pages, analysis)));
    const { data: list } = worklistApi.endpoints.worklist.select(plain)(getState());
    // What was there of this study before may be superseded now.
    if (list && isAnotherOf(list.pages, analysis)) dispatch(api.util.invalidateTags([listTag(plain)]));
  }
}

function listTag(filters: Filters) {
  return { type: "analyses" as const, id: serialize({ ...filters }) };
}

listen({
  actionCreator: gapFound,
  effect: (_, { dispatch }) => {
    dispatch(api.util.invalidateTags(["analyses"]));
  },
});

listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type } }, { dispatch, delay }) => {
    if (type !== "codetect.study.erased.v1") return;
    await delay(ERASED_MS);
    dispatch(api.util.invalidateTags(["analyses"]));
  },
});
