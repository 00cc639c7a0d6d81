/** On the way: the upload is opened or taken up again, its files are posted, and it is completed. */
import { api } from "../../api/api";
import type { UploadOpenedOut, UploadOut } from "../../api/generated";
import { type Problem, asProblem } from "../../api/problems";
import { listen } from "../../app/listening";
import type { AppDispatch } from "../../app/store";
import { type Item, type Thunk, countOf, desk, personOf, shown } from "./desk";
import { goes } from "./gathered";
import { clear } from "./gathering";
import * as ledger from "./ledger";
import { Meter } from "./meter";
import { post } from "./posting";
import { type Parcel, Queue, isAway, pause as pauseOf } from "./queue";
import { type Wishes, stood } from "./slice";
import { wait } from "./waiting";

interface UnderWay {
  control: AbortController;
  upload: UploadOpenedOut;
  /** By fingerprint. */
  lines: Map<string, ledger.Line>;
}

let sending: UnderWay | undefined;

const STOPPED = new DOMException("stopped", "AbortError");
/** Nothing more can be sent to this upload. */
const ENDS = new Set(["claim-mismatch", "upload-expired", "upload-not-found", "wrong-state"]);

/** Send what is here: all of it, or what an earlier upload of it lacks. */
export const send = (): Thunk => async (dispatch, getState) => {
  const { earlier, left, others, wishes } = getState().submit;
  const chosen = desk.items.filter((item) => item.source && goes(item, left, others));
  dispatch(stood({ phase: "opening", problem: null, total: countOf(chosen), sent: { files: 0, bytes: 0 }, underWay: [], bytesPerSecond: 0 }));
  try {
    const upload = earlier ? await takenUp(dispatch, earlier.id) : await opened(dispatch, wishes);
    if ("completed_at" in upload) dispatch(stood({ phase: "sent", uploadId: upload.id }));
    else await dispatch(begin(upload, chosen));
  } catch (error) {
    await dispatch(broken(error, earlier?.id));
    return;
  }
  await dispatch(go());
};

async function opened(dispatch: AppDispatch, { models, reference, priority }: Wishes): Promise<UploadOpenedOut> {
  const said = reference.trim();
  const uploadRequest = { priority, ...(said ? { reference: said } : {}), ...(models.length ? { models } : {}) };
  return dispatch(api.endpoints.openUpload.initiate({ "idempotency-key": crypto.randomUUID(), uploadRequest })).unwrap();
}

/** An earlier upload, open again; as it is, if it was completed meanwhile. */
async function takenUp(dispatch: AppDispatch, uploadId: string): Promise<UploadOpenedOut | UploadOut> {
  const again = { forceRefetch: true, subscribe: false } as const;
  const upload = await dispatch(api.endpoints.getUpload.initiate({ uploadId }, again)).unwrap();
  if (upload.state === "open" || upload.state === "expired") return renewed(dispatch, uploadId);
  await ledger.forget(uploadId);
  return upload;
}

const renewed = (dispatch: AppDispatch, uploadId: string) => dispatch(api.endpoints.renewUpload.initiate({ uploadId })).unwrap();

/** Number the files, and write down which is which. */
const begin =
  (upload: UploadOpenedOut, chosen: readonly Item[]): Thunk =>
  async (dispatch, getState) => {
    checkLimits(upload, chosen);
    const lines = new Map((await ledger.linesOf(upload.id)).map((line) => [line.fingerprint, line]));
    const last = Math.max(0, ...[...lines.values()].map(({ number }) => number));
    const fresh = chosen
      .filter((item) => !lines.has(item.fingerprint))
      .map((item, n): ledger.Line => ({ fingerprint: item.fingerprint, number: last + 1 + n, size: item.size, posted: false }));
    for (const line of fresh) lines.set(line.fingerprint, line);
    const named = chosen.map((item): [number, string] => [lines.get(item.fingerprint)?.number ?? 0, item.name]);
    desk.names.set(upload.id, new Map(named));
    sending = { control: new AbortController(), upload, lines };
    await ledger.begin({ id: upload.id, person: personOf(getState()) ?? "", at: Date.now(), ...countOf(chosen) }, fresh);
    dispatch(stood({ phase: "sending", uploadId: upload.id }));
  };

/** Better told now than after all was sent. */
function checkLimits(upload: UploadOpenedOut, chosen: readonly Item[]): void {
  const { files, bytes } = countOf(chosen);
  const large = chosen.find(({ size }) => size > upload.max_file_bytes);
  if (large) throw tooMuch("file-too-large", `This file is larger than any that is taken: ${large.name}`);
  if (files > upload.max_files) throw tooMuch("too-many-files", `One upload takes ${upload.max_files} files. Leave out some studies, and send them after.`);
  if (bytes > upload.max_total_bytes) throw tooMuch("too-many-bytes", "This is more than one upload takes. Leave out some studies, and send them after.");
}

const tooMuch = (type: string, title: string): Problem => ({ type, status: 413, title });

/** Post what isn't there yet, and complete: from the start, or from where a pause left it. */
const go = (): Thunk => async (dispatch) => {
  if (!sending) return;
  const { upload, lines } = sending;
  const control = new AbortController();
  sending.control = control;
  const wanted = desk.items.filter((item) => item.source && lines.has(item.fingerprint));
  const meter = new Meter(dispatch, wanted, lines, control.signal);
  try {
    await ledger.holding(upload.id, async () => {
      await postAll(dispatch, sending, wanted, meter, control.signal);
      meter.stop();
      dispatch(stood({ phase: "completing", underWay: [] }));
      await complete(dispatch, sending, control.signal);
    });
    await dispatch(finished(upload.id));
  } catch (error) {
    meter.stop();
    if (control.signal.aborted) return; // whoever stopped it has said so
    await dispatch(broken(error, upload.id));
  }
};

const finished =
  (uploadId: string): Thunk =>
  async (dispatch, getState) => {
    sending = undefined;
    desk.items = [];
    await ledger.forget(uploadId);
    const unfinished = getState().submit.unfinished.filter(({ id }) => id !== uploadId);
    dispatch(stood({ phase: "sent", earlier: null, problem: null, unfinished }));
  };

/** It stopped by itself: to be resumed, or to be sent anew where this upload takes nothing more. */
const broken =
  (error: unknown, uploadId?: string): Thunk =>
  async (dispatch, getState) => {
    const problem = asProblem(error) ?? null;
    if (uploadId && problem && ENDS.has(problem.type)) {
      sending = undefined;
      await ledger.forget(uploadId);
      const unfinished = getState().submit.unfinished.filter(({ id }) => id !== uploadId);
      const anew: Problem = { type: "send-anew", status: problem.status, title: "This upload takes nothing more. Send it again, from the start." };
      dispatch(stood({ phase: "gathering", earlier: null, unfinished, problem: anew }));
    } else {
      dispatch(stood({ phase: sending ? "paused" : "gathering", underWay: [], bytesPerSecond: 0, problem }));
    }
  };

async function postAll(
  dispatch: AppDispatch,
  underWay: UnderWay | undefined,
  wanted: readonly Item[],
  meter: Meter,
  signal: AbortSignal,
): Promise<void> {
  if (!underWay) return;
  const { upload, lines } = underWay;
  const itemOf = new Map(wanted.map((item) => [lines.get(item.fingerprint)?.number, item]));
  const parcels = wanted.flatMap(({ source, fingerprint }): Parcel[] => {
    const line = lines.get(fingerprint);
    return source && line && !line.posted ? [{ number: line.number, size: source.size, blob: source.blob }] : [];
  });
  const queue = new Queue(
    {
      post,
      renew: () => renewed(dispatch, upload.id),
      wait,
      now: () => performance.now(),
      onStart: (parcel) => meter.start(parcel),
      onSent: (parcel, bytes) => meter.sent(parcel, bytes),
      onPosted: async (parcel) => {
        const line = lines.get(itemOf.get(parcel.number)?.fingerprint ?? "");
        if (line) {
          line.posted = true;
          await ledger.notePosted(upload.id, line);
        }
        meter.posted(parcel);
      },
      onUnreadable: (parcel) => {
        const item = itemOf.get(parcel.number);
        if (item) item.aside = "unreadable";
        meter.dropped(parcel);
        const { setAside = [] } = shown({ left: [], others: false });
        dispatch(stood({ setAside, total: countOf(wanted.filter(({ aside }) => aside !== "unreadable")) }));
      },
      onReach: (reached) => meter.reached(reached),
    },
    upload,
  );
  await queue.run(parcels, signal);
}

/** Asked again as long as nobody answers: the answer stays the same. */
async function complete(dispatch: AppDispatch, underWay: UnderWay | undefined, signal: AbortSignal): Promise<void> {
  if (!underWay) return;
  const { upload, lines } = underWay;
  const posted = [...lines.values()].filter((line) => line.posted);
  const claim = { file_count: posted.length, total_bytes: posted.reduce((sum, { size }) => sum + size, 0) };
  let late = false;
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    // oxlint-disable no-await-in-loop -- until there is an answer
    try {
      await dispatch(api.endpoints.completeUpload.initiate({ uploadId: upload.id, claim })).unwrap();
      return;
    } catch (error) {
      if (asProblem(error)?.type === "upload-expired" && !late) {
        late = true; // this machine slept
        await renewed(dispatch, upload.id);
      } else if (isAway(error)) {
        dispatch(stood({ phase: "waiting" }));
        await wait(pauseOf(tries), signal);
      } else throw error;
    }
    // oxlint-enable no-await-in-loop
  }
}

export const pause = (): Thunk => async (dispatch) => {
  sending?.control.abort(STOPPED);
  dispatch(stood({ phase: "paused", underWay: [], bytesPerSecond: 0 }));
};

export const resume = (): Thunk => async (dispatch, getState) => {
  if (getState().submit.phase !== "paused") return;
  dispatch(stood({ phase: "sending", problem: null }));
  await dispatch(go());
};

/** Back to before it was sent; the files stay on the desk. What the store has of them is deleted when its time is over. */
export const cancel = (): Thunk => async (dispatch, getState) => {
  const stopped = sending;
  sending = undefined;
  stopped?.control.abort(STOPPED);
  if (stopped) await ledger.forget(stopped.upload.id);
  const unfinished = getState().submit.unfinished.filter(({ id }) => id !== stopped?.upload.id);
  const none = { earlier: null, uploadId: null, underWay: [], problem: null };
  dispatch(stood({ phase: "gathering", unfinished, ...none, ...shown(getState().submit) }));
};

/** Whoever logs out, or in as somebody else, leaves nothing on the desk. */
const leave = (): Thunk => async (dispatch) => {
  const stopped = sending;
  sending = undefined;
  stopped?.control.abort(STOPPED);
  desk.names.clear();
  desk.person = undefined;
  await dispatch(clear());
  dispatch(stood({ unfinished: [] }));
};

listen({
  matcher: api.endpoints.logOut.matchPending,
  effect: async (_, { dispatch }) => {
    await dispatch(leave());
  },
});
listen({
  matcher: api.endpoints.getMe.matchFulfilled,
  effect: async ({ payload: { id } }, { dispatch }) => {
    if (desk.person !== undefined && id !== desk.person) await dispatch(leave());
  },
});

/** Closing the page would stop it. */
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
