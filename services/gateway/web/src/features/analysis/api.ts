/** An analysis, as it is at this moment: what the WebSocket tells goes into what is shown. */
import { api } from "../../api/api";
import { listen } from "../../app/listening";
import { eventTold, gapFound } from "../../live/slice";

export const {
  useGetAnalysisQuery,
  useListSlicesQuery,
  useListAnalysesQuery,
  useGetStudyQuery,
  useListStudiesQuery,
  useGetFeedbackQuery,
  useGetModelQuery,
  useGiveFeedbackMutation,
  useAdjudicateFeedbackMutation,
  useReopenFeedbackMutation,
  useRerunAnalysisMutation,
  useCancelAnalysisMutation,
  useCreateAnalysisMutation,
  useListNotesQuery,
  useWriteNoteMutation,
  useTakeNoteBackMutation,
} = api;

const OVER = new Set(["codetect.analysis.completed.v1", "codetect.analysis.failed.v1", "codetect.analysis.cancelled.v1"]);

listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type, data } }, { dispatch, getState }) => {
    const analysisId = String(data?.["analysis_id"] ?? "");
    const shown = api.util.selectCachedArgsForQuery(getState(), "getAnalysis");
    if (!data || !shown.some((each) => each.analysisId === analysisId)) return;
    if (type === "codetect.analysis.progressed.v1") {
      dispatch(
        api.util.updateQueryData("getAnalysis", { analysisId }, (analysis) => {
          if (analysis.status !== "queued" && analysis.status !== "running") return; // what is over stays over
          analysis.status = "running";
          analysis.slices_done = Number(data["slices_done"]);
          analysis.slices_total = Number(data["slices_total"]);
        }),
      );
    } else if (type.startsWith("codetect.analysis.")) {
      // One that is on its way may have been answered before this happened.
      await dispatch(api.util.getRunningQueryThunk("getAnalysis", { analysisId }));
      await dispatch(api.endpoints.getAnalysis.initiate({ analysisId }, { forceRefetch: true, subscribe: false }));
      if (OVER.has(type)) {
        await dispatch(api.endpoints.listSlices.initiate({ analysisId }, { forceRefetch: true, subscribe: false }));
      }
    } else if (type.startsWith("codetect.feedback.")) {
      dispatch(api.util.invalidateTags(["feedback"]));
    }
  },
});

// Another analysis of a study that is shown here may have come: whether this one is superseded is the list's to say.
listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type, data } }, { dispatch, getState }) => {
    if (!OVER.has(type) && type !== "codetect.analysis.queued.v1") return;
    const shown = api.util.selectCachedArgsForQuery(getState(), "listAnalyses");
    await Promise.all(
      shown
        .filter(({ studyId }) => studyId && studyId === data?.["study_id"])
        .map(async (filters) => {
          // One that is on its way may have been answered before this happened.
          await dispatch(api.util.getRunningQueryThunk("listAnalyses", filters));
          await dispatch(api.endpoints.listAnalyses.initiate(filters, { forceRefetch: true, subscribe: false }));
        }),
    );
  },
});

listen({
  actionCreator: gapFound,
  effect: (_, { dispatch }) => {
    dispatch(api.util.invalidateTags(["analyses", "feedback"]));
  },
});
