/**
 * The desk where a submission lies while it is gathered, looked at and sent. It outlives the page that shows it: going to the
 * worklist stops nothing. What may be shown of it is in the store (slice.ts); the files themselves are here alone.
 */
import { api } from "../../api/api";
import type { AppDispatch, RootState } from "../../app/store";
import { type Known, goes, group, isSendable } from "./gathered";
import type { Counts, SubmitState } from "./slice";
import type { Source } from "./sources";

export interface Item extends Known {
  source?: Source;
  fingerprint: string;
}
export type Thunk<T = void> = (dispatch: AppDispatch, getState: () => RootState) => Promise<T>;

export const desk = {
  items: [] as Item[],
  /** Whose they are: the id of their account. */
  person: undefined as string | undefined,
  /** The names of what was sent, by upload and number, for as long as this page lives: nobody else is told them. */
  names: new Map<string, Map<number, string>>(),
};

export function nameOf(uploadId: string, number: number): string | undefined {
  return desk.names.get(uploadId)?.get(number);
}

export const countOf = (some: readonly Item[]): Counts => ({
  files: some.length,
  bytes: some.reduce((sum, { size }) => sum + size, 0),
});

/** What the page shows of the files that are here. */
export function shown({ left, others }: Pick<SubmitState, "left" | "others">): Partial<SubmitState> {
  const slices = desk.items.filter(({ aside }) => aside === undefined);
  const kept = desk.items.flatMap(({ name, aside }) =>
    aside && aside !== "clutter" ? [{ name, reason: aside, sendable: isSendable(aside) }] : [],
  );
  return {
    left,
    others,
    patients: group(slices),
    setAside: kept,
    untold: countOf(slices.filter(({ place }) => !place)),
    toSend: countOf(desk.items.filter((item) => goes(item, left, others))),
  };
}

/** The account's id; undefined before it is known. */
export function personOf(state: RootState): string | undefined {
  return api.endpoints.getMe.select()(state).data?.id;
}
