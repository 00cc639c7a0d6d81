/**
 * The desk where a submission lies while it is gathered, looked at and sent. It outlives the page that shows it: going to the
 * worklist stops nothing. What may be shown of it is in the store (slice.ts); the files themselves are here alone.
 */
import { api } from "../../api/api";
import type { UploadOpenedOut, UploadOut } from "../../api/generated";
import { type Problem, asProblem } from "../../api/problems";
import { listen } from "../../app/listening";
import type { AppDispatch, RootState } from "../../app/store";
import { fingerprint } from "./fingerprint";
import { type Known, goes, group, isSendable } from "./gathered";
import * as ledger from "./ledger";
import { HEAD_BYTES, look } from "./look";
import { Meter, SHOWN_EVERY_MS } from "./meter";
import { post } from "./posting";
import { type Parcel, Queue, isAway, pause as pauseOf } from "./queue";
import { type Counts, type SubmitState, type Wishes, emptied, isOver, isUnderWay, stood } from "./slice";
import { type Found, type Source, isSource } from "./sources";
import { wait } from "./waiting";

interface Item extends Known {
  source?: Source;
  fingerprint: string;
}
type Thunk<T = void> = (dispatch: AppDispatch, getState: () => RootState) => Promise<T>;

const LOOKING_AT_ONCE = 4;

let items: Item[] = [];
let sending: { control: AbortController; upload: UploadOpenedOut; wishes: Wishes; lines: Map<string, ledger.Line> } | undefined;
let looking: AbortController | undefined;
/** The names of what was sent, for as long as this page lives: nobody else is told them. */
const names = new Map<string, Map<number, string>>();

export function nameOf(uploadId: string, number: number): string | undefined {
  return names.get(uploadId)?.get(number);
}

const PAUSED = new DOMException("paused", "AbortError");

/** Look at what was dropped or chosen, and add it to what is here. */
export const add =
  (found: AsyncGenerator<Found>): Thunk =>
  async (dispatch, getState) => {
    if (isUnderWay(getState().submit.phase)) return;
    if (isOver(getState().submit.phase)) await dispatch(clear());
    const control = new AbortController();
    looking?.abort();
    looking = control;
    const fresh: Item[] = [];
    const counts = { done: 0, found: 0 };
    const known = new Set(items.map((item) => item.fingerprint || item.name));
    dispatch(stood({ phase: "looking", looked: { ...counts }, problem: null }));
    const show = setInterval(() => dispatch(stood({ looked: { ...counts } })), SHOWN_EVERY_MS);
    const lane = async () => {
      for (;;) {
        // oxlint-disable no-await-in-loop -- one after the other; several lanes do so side by side
        const { value, done } = await found.next();
        if (done || control.signal.aborted) return;
        counts.found += 1;
        const item = await lookAt(value);
        // oxlint-enable no-await-in-loop
        counts.done += 1;
        const key = item.fingerprint || item.name;
        if (!known.has(key)) fresh.push(item);
        known.add(key);
      }
    };
    await Promise.all(Array.from({ length: LOOKING_AT_ONCE }, lane));
    clearInterval(show);
    if (control.signal.aborted) return;
    items = [...items, ...fresh].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { unfinished } = getState().submit;
    const earlier = await earlierOf(unfinished);
    dispatch(stood({ phase: "gathering", looked: { ...counts }, earlier, ...shown(getState().submit) }));
  };

async function lookAt(found: Found): Promise<Item> {
  const { name } = found;
  if (!isSource(found)) return { name, size: 0, aside: found.reason, fingerprint: "" };
  try {
    const head = await found.head(HEAD_BYTES);
    return { name, size: found.size, source: found, fingerprint: await fingerprint(head, found.size, found.version), ...look(head) };
  } catch {
    return { name, size: found.size, aside: "unreadable", fingerprint: "" };
  }
}

/** What the page shows of the files that are here. */
function shown({ left, others }: Pick<SubmitState, "left" | "others">): Partial<SubmitState> {
  const slices = items.filter(({ aside }) => aside === undefined);
  return {
    patients: group(slices),
    setAside: items.flatMap(({ name, aside }) => (aside && aside !== "clutter" ? [{ name, reason: aside, sendable: isSendable(aside) }] : [])),
    untold: countOf(slices.filter(({ place }) => !place)),
    toSend: countOf(items.filter((item) => goes(item, left, others))),
  };
}

const countOf = (some: readonly Item[]): Counts => ({ files: some.length, bytes: some.reduce((sum, { size }) => sum + size, 0) });

/** The interrupted upload that the most of these files belong to. */
async function earlierOf(unfinished: readonly ledger.Unfinished[]): Promise<ledger.Unfinished | null> {
  const here = new Set(items.map((item) => item.fingerprint));
  const matches = await Promise.all(
    unfinished.map(async (one) => ({
      one,
      count: (await ledger.linesOf(one.id)).filter((line) => here.has(line.fingerprint)).length,
    })),
  );
  return matches.toSorted((a, b) => b.count - a.count).find(({ count }) => count > 0)?.one ?? null;
}

/** Send a study or not; send along what isn't read. */
export const choose =
  (choice: Partial<Pick<SubmitState, "left" | "others">>): Thunk =>
  async (dispatch, getState) => {
    const { left, others } = { ...getState().submit, ...choice };
    dispatch(stood({ left, others, ...shown({ left, others }) }));
  };

/** Look for uploads that were interrupted. */
export const recall = (): Thunk => async (dispatch, getState) => {
  const person = personOf(getState());
  if (!person || isUnderWay(getState().submit.phase)) return;
  dispatch(stood({ unfinished: await ledger.unfinished(person) }));
};

export const discard =
  (id: string): Thunk =>
  async (dispatch, getState) => {
    await ledger.forget(id);
    const { unfinished, earlier } = getState().submit;
    dispatch(stood({ unfinished: unfinished.filter((one) => one.id !== id), earlier: earlier?.id === id ? null : earlier }));
  };

/** Send what is here: all of it, or what an earlier upload of it lacks. */
export const send =
  (): Thunk =>
  async (dispatch, getState) => {
    const { earlier, left, others, wishes } = getState().submit;
    const chosen = items.filter((item) => item.source && goes(item, left, others));
    dispatch(stood({ phase: "sending", problem: null, sent: { files: 0, bytes: 0 }, underWay: [], bytesPerSecond: 0 }));
    try {
      const taken = earlier && (await takenUp(dispatch, earlier.id));
      if (taken && "completed_at" in taken) {
        dispatch(stood({ phase: "sent", uploadId: taken.id }));
        return;
      }
      await begin(dispatch, getState, chosen, wishes, taken ?? undefined);
    } catch (error) {
      sending = undefined;
      dispatch(stood({ phase: "gathering", problem: asProblem(error) ?? null }));
      return;
    }
    await dispatch(go());
  };

/** An earlier upload, open again; as it is, if it was completed meanwhile; nothing, if it came to nothing. */
async function takenUp(dispatch: AppDispatch, uploadId: string): Promise<UploadOpenedOut | UploadOut | undefined> {
  const { data, error } = await dispatch(
    api.endpoints.getUpload.initiate({ uploadId }, { forceRefetch: true, subscribe: false }),
  );
  if (error && asProblem(error)?.status !== 404) throw error;
  if (data?.state === "open") return dispatch(api.endpoints.renewUpload.initiate({ uploadId })).unwrap();
  await ledger.forget(uploadId);
  return data && data.state !== "expired" ? data : undefined;
}

async function begin(
  dispatch: AppDispatch,
  getState: () => RootState,
  chosen: readonly Item[],
  wishes: Wishes,
  taken?: UploadOpenedOut,
): Promise<void> {
  const lines = new Map((taken ? await ledger.linesOf(taken.id) : []).map((line) => [line.fingerprint, line]));
  const upload = taken ?? (await opened(dispatch, wishes));
  checkLimits(upload, chosen);
  let next = 1 + Math.max(0, ...[...lines.values()].map(({ number }) => number));
  const fresh = chosen.filter((item) => !lines.has(item.fingerprint));
  for (const item of fresh) {
    lines.set(item.fingerprint, { fingerprint: item.fingerprint, number: next, size: item.size, posted: false });
    next += 1;
  }
  sending = { control: new AbortController(), upload, wishes, lines };
  const numbers = chosen.map((item): [number, string] => [lines.get(item.fingerprint)?.number ?? 0, item.name]);
  names.set(upload.id, new Map(numbers));
  const total = countOf(chosen);
  dispatch(stood({ uploadId: upload.id, total }));
  await ledger.begin(
    { id: upload.id, person: personOf(getState()) ?? "", at: Date.now(), ...total },
    fresh.flatMap((item) => lines.get(item.fingerprint) ?? []),
  );
}

async function opened(dispatch: AppDispatch, { models, reference, priority }: Wishes): Promise<UploadOpenedOut> {
  const said = reference.trim();
  const uploadRequest = { priority, ...(said ? { reference: said } : {}), ...(models.length ? { models } : {}) };
  return dispatch(api.endpoints.openUpload.initiate({ "idempotency-key": crypto.randomUUID(), uploadRequest })).unwrap();
}

/** Better told now than after all was sent. */
function checkLimits(upload: UploadOpenedOut, chosen: readonly Item[]): void {
  const { files, bytes } = countOf(chosen);
  const large = chosen.find(({ size }) => size > upload.max_file_bytes);
  if (large) throw tooMuch("file-too-large", `This file is larger than any that is taken: ${large.name}`);
  if (files > upload.max_files) throw tooMuch("too-many-files", `One upload takes ${upload.max_files} files. Send fewer at once.`);
  if (bytes > upload.max_total_bytes) throw tooMuch("too-many-bytes", "One upload takes less than this. Send fewer studies at once.");
}

const tooMuch = (type: string, title: string): Problem => ({ type, status: 413, title });

/** Post what isn't there yet, and complete: from the start, or from where a pause left it. */
const go = (): Thunk => async (dispatch, getState) => {
  if (!sending) return;
  const { upload, lines } = sending;
  const control = new AbortController();
  sending.control = control;
  const wanted = items.filter((item) => item.source && lines.has(item.fingerprint));
  const meter = new Meter(dispatch, wanted, lines);
  try {
    await ledger.holding(upload.id, async () => {
      await postAll(dispatch, wanted, meter, control.signal);
      meter.stop();
      meter.show(true);
      dispatch(stood({ phase: "completing", underWay: [] }));
      await complete(dispatch, control.signal);
    });
    await ledger.forget(upload.id);
    sending = undefined;
    items = [];
    dispatch(stood({ phase: "sent", earlier: null, problem: null, unfinished: getState().submit.unfinished.filter(({ id }) => id !== upload.id) }));
  } catch (error) {
    meter.stop();
    if (sending?.upload.id === upload.id) meter.show(true);
    if (control.signal.aborted) return; // whoever paused or cancelled has said so
    if (asProblem(error)?.type === "claim-mismatch" && (await startAgain(dispatch, getState, wanted))) {
      await dispatch(go());
      return;
    }
    dispatch(stood({ phase: "paused", underWay: [], problem: asProblem(error) ?? null }));
  }
};

async function postAll(dispatch: AppDispatch, wanted: readonly Item[], meter: Meter, signal: AbortSignal): Promise<void> {
  if (!sending) return;
  const { upload, lines } = sending;
  const lineOf = new Map<number, ledger.Line>([...lines.values()].map((line) => [line.number, line]));
  const parcels = wanted.flatMap(({ source, fingerprint: print }): Parcel[] => {
    const line = lines.get(print);
    return source && line && !line.posted ? [{ number: line.number, size: source.size, blob: source.blob }] : [];
  });
  const queue = new Queue(
    {
      post,
      renew: () => dispatch(api.endpoints.renewUpload.initiate({ uploadId: upload.id })).unwrap(),
      wait,
      now: () => performance.now(),
      onStart: (parcel) => meter.start(parcel),
      onSent: (parcel, bytes) => meter.sent(parcel, bytes),
      onPosted: async (parcel) => {
        const line = lineOf.get(parcel.number);
        if (line) {
          line.posted = true;
          await ledger.notePosted(upload.id, line);
        }
        meter.posted(parcel);
      },
      onUnreadable: (parcel) => {
        const item = wanted.find(({ fingerprint: print }) => lines.get(print)?.number === parcel.number);
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
async function complete(dispatch: AppDispatch, signal: AbortSignal): Promise<void> {
  if (!sending) return;
  const { upload, lines } = sending;
  const posted = [...lines.values()].filter((line) => line.posted);
  const claim = { file_count: posted.length, total_bytes: posted.reduce((sum, { size }) => sum + size, 0) };
  let renewed = false;
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    // oxlint-disable no-await-in-loop -- until there is an answer
    try {
      await dispatch(api.endpoints.completeUpload.initiate({ uploadId: upload.id, claim })).unwrap();
      return;
    } catch (error) {
      if (asProblem(error)?.type === "upload-expired" && !renewed) {
        renewed = true;
        await dispatch(api.endpoints.renewUpload.initiate({ uploadId: upload.id })).unwrap();
      } else if (isAway(error)) {
        dispatch(stood({ phase: "waiting" }));
        await wait(pauseOf(tries), signal);
      } else throw error;
    }
    // oxlint-enable no-await-in-loop
  }
}

/** What is there isn't what the ledger says: nothing of it can be relied on. Once. */
async function startAgain(dispatch: AppDispatch, getState: () => RootState, wanted: readonly Item[]): Promise<boolean> {
  if (!sending || getState().submit.earlier === null) return false;
  const { upload, wishes } = sending;
  dispatch(stood({ phase: "sending", earlier: null }));
  await ledger.forget(upload.id);
  await begin(dispatch, getState, wanted, wishes);
  return true;
}

export const pause = (): Thunk => async (dispatch) => {
  sending?.control.abort(PAUSED);
  dispatch(stood({ phase: "paused", underWay: [], bytesPerSecond: 0 }));
};

export const resume = (): Thunk => async (dispatch, getState) => {
  if (getState().submit.phase !== "paused") return;
  dispatch(stood({ phase: "sending", problem: null }));
  await dispatch(go());
};

/** Back to before it was sent; the files stay on the desk. What the store has of them is deleted when its time is over. */
export const cancel = (): Thunk => async (dispatch, getState) => {
  const { upload, control } = sending ?? {};
  sending = undefined;
  control?.abort(PAUSED);
  if (upload) await ledger.forget(upload.id);
  dispatch(stood({ phase: "gathering", earlier: null, uploadId: null, underWay: [], problem: null, ...shown(getState().submit) }));
};

/** An empty desk. */
export const clear = (): Thunk => async (dispatch, getState) => {
  looking?.abort();
  items = [];
  const { unfinished } = getState().submit;
  dispatch(emptied());
  dispatch(stood({ unfinished }));
};

/** Whoever logs out, or in as somebody else, leaves nothing on the desk. */
function leave(dispatch: AppDispatch): void {
  looking?.abort();
  sending?.control.abort(PAUSED);
  sending = undefined;
  items = [];
  names.clear();
  dispatch(emptied());
}

listen({ matcher: api.endpoints.logOut.matchPending, effect: (_, { dispatch }) => leave(dispatch) });

let person: string | undefined;
listen({
  matcher: api.endpoints.getMe.matchFulfilled,
  effect: (_, { dispatch, getState }) => {
    const now = personOf(getState());
    if (person !== undefined && now !== person) leave(dispatch);
    person = now ?? person;
  },
});

function personOf(state: RootState): string | undefined {
  const known = api.endpoints.getMe.select()(state).data?.id;
  person ??= known;
  return known;
}

/** Closing the page would stop it. */
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
