/** What becomes of an upload: read again when the WebSocket tells of it. */
import { api } from "../../api/api";
import { listen } from "../../app/listening";
import { eventTold, gapFound } from "../../live/slice";

const PROGRESSED = "codetect.analysis.progressed.v1";

listen({
  actionCreator: eventTold,
  effect: async ({ payload: { type, data } }, { dispatch, getState }) => {
    if (!data) return;
    const again = { forceRefetch: true, subscribe: false } as const;
    if (type.startsWith("codetect.upload.")) {
      const about = api.util.selectCachedArgsForQuery(getState(), "getUpload").filter(({ uploadId }) => uploadId === data["upload_id"]);
      await Promise.all(
        about.map(async (each) => {
          // One that is on its way may have been answered before this happened.
          await dispatch(api.util.getRunningQueryThunk("getUpload", each));
          await dispatch(api.endpoints.getUpload.initiate(each, again));
        }),
      );
    } else if (type.startsWith("codetect.analysis.")) {
      const about = api.util.selectCachedArgsForQuery(getState(), "listAnalyses").filter(({ studyId }) => studyId === data["study_id"]);
      if (type === PROGRESSED) {
        const told = data as unknown as { analysis_id: string; slices_done: number; slices_total: number };
        for (const each of about) {
          dispatch(
            api.util.updateQueryData("listAnalyses", each, ({ items }) => {
              const one = items.find(({ id }) => id === told.analysis_id);
              if (!one || (one.status !== "queued" && one.status !== "running")) return;
              Object.assign(one, { status: "running", slices_done: told.slices_done, slices_total: told.slices_total });
            }),
          );
        }
        return;
      }
      await Promise.all(
        about.map(async (each) => {
          await dispatch(api.util.getRunningQueryThunk("listAnalyses", each));
          await dispatch(api.endpoints.listAnalyses.initiate(each, again));
        }),
      );
    }
  },
});

listen({
  actionCreator: gapFound,
  effect: (_, { dispatch }) => {
    dispatch(api.util.invalidateTags(["uploads", "analyses"]));
  },
});
