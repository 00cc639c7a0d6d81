/** Before anything is sent: files come in, are looked at, and may be part of an upload that was interrupted. */
import { fingerprint } from "./fingerprint";
import { type Item, type Thunk, desk, personOf, shown } from "./desk";
import * as ledger from "./ledger";
import { HEAD_BYTES, look } from "./look";
import { SHOWN_EVERY_MS } from "./meter";
import { type SubmitState, emptied, isOver, isUnderWay, stood } from "./slice";
import { type Found, isSource } from "./sources";

const LOOKING_AT_ONCE = 4;

let looking: AbortController | undefined;

/** Look at what was dropped or chosen, and add it to what is here. */
export const add =
  (found: AsyncGenerator<Found>): Thunk =>
  async (dispatch, getState) => {
    if (isUnderWay(getState().submit.phase)) return;
    if (isOver(getState().submit.phase)) await dispatch(clear());
    desk.person = personOf(getState());
    looking?.abort();
    const control = new AbortController();
    looking = control;
    const fresh: Item[] = [];
    const counts = { done: 0, found: 0 };
    const known = new Set(desk.items.map(keyOf));
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
        if (!known.has(keyOf(item))) fresh.push(item);
        known.add(keyOf(item));
      }
    };
    await Promise.all(Array.from({ length: LOOKING_AT_ONCE }, lane)).finally(() => clearInterval(show));
    if (control.signal.aborted) return;
    desk.items = [...desk.items, ...fresh].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { unfinished, left, others } = getState().submit;
    const earlier = await earlierOf(unfinished);
    const chosen = earlier ? await chosenThen(earlier.id) : { left, others };
    dispatch(stood({ phase: "gathering", looked: { ...counts }, earlier, ...shown(chosen) }));
  };

/** The same file twice is one; of one that can't be read, the name must do. */
const keyOf = (item: Item) => item.fingerprint || item.name;

async function lookAt(found: Found): Promise<Item> {
  const { name } = found;
  if (!isSource(found)) return { name, size: 0, aside: found.reason, fingerprint: "" };
  const { size, version } = found;
  try {
    const head = await found.head(HEAD_BYTES);
    return { name, size, source: found, fingerprint: await fingerprint(head, size, version), ...look(head) };
  } catch {
    return { name, size, aside: "unreadable", fingerprint: "" };
  }
}

/** The interrupted upload that the most of these files belong to. */
async function earlierOf(unfinished: readonly ledger.Unfinished[]): Promise<ledger.Unfinished | null> {
  const here = new Set(desk.items.map((item) => item.fingerprint));
  const matches = await Promise.all(
    unfinished.map(async (one) => ({
      one,
      count: (await ledger.linesOf(one.id)).filter((line) => here.has(line.fingerprint)).length,
    })),
  );
  return matches.toSorted((a, b) => b.count - a.count).find(({ count }) => count > 0)?.one ?? null;
}

/** What was left out then, and whether others went along: by what of it is in the ledger. */
async function chosenThen(uploadId: string): Promise<Pick<SubmitState, "left" | "others">> {
  const sent = new Set((await ledger.linesOf(uploadId)).map((line) => line.fingerprint));
  const went = desk.items.filter((item) => sent.has(item.fingerprint));
  const studies = new Set(went.map(({ place }) => place?.study.uid));
  const all = new Set(desk.items.flatMap(({ place }) => place?.study.uid ?? []));
  return { left: [...all].filter((uid) => !studies.has(uid)), others: went.some(({ aside }) => aside) };
}

/** Send a study or not; send along what isn't read. */
export const choose =
  (choice: Partial<Pick<SubmitState, "left" | "others">>): Thunk =>
  async (dispatch, getState) => {
    dispatch(stood(shown({ ...getState().submit, ...choice })));
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

/** An empty desk. */
export const clear = (): Thunk => async (dispatch, getState) => {
  looking?.abort();
  desk.items = [];
  const { unfinished } = getState().submit;
  dispatch(emptied());
  dispatch(stood({ unfinished }));
};
