/** Files on their way to the store, six at once: a refused policy is renewed, what fails is tried again, a lost network waited for. */
import type { UploadOpenedOut } from "../../api/generated";
import type { Problem } from "../../api/problems";
import type { Posted } from "./posting";

export interface Parcel {
  number: number;
  size: number;
  blob: () => Promise<Blob>;
}

export interface Surroundings {
  post: (policy: UploadOpenedOut, number: number, blob: Blob, onSent: (bytes: number) => void, signal: AbortSignal) => Promise<Posted>;
  /** Another policy for the same upload; throws a Problem. */
  renew: () => Promise<UploadOpenedOut>;
  /** A pause, cut short when the network comes back; throws when the signal says so. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  now: () => number;
  onStart: (parcel: Parcel) => void;
  /** How many bytes of a parcel are there by now: less again when it has to be sent once more. */
  onSent: (parcel: Parcel, bytes: number) => void;
  onPosted: (parcel: Parcel) => Promise<void>;
  /** The file can't be read any more. */
  onUnreadable: (parcel: Parcel) => void;
  /** Whether the server is out of reach. */
  onReach: (reached: boolean) => void;
}

export const LANES = 6;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 8000;
const PATIENCE_MS = 120_000;
const FEWEST_TRIES = 4;
const REFUSALS = 3;
const FORBIDDEN = 403;
const PASSING = new Set([0, 408, 429, 500, 502, 503, 504]);

export class Queue {
  private policy: UploadOpenedOut;
  private renewing: Promise<UploadOpenedOut> | undefined;
  /** How often the server was out of reach. */
  private waits = 0;
  private readonly around: Surroundings;

  constructor(around: Surroundings, policy: UploadOpenedOut) {
    this.around = around;
    this.policy = policy;
  }

  /** Until all are posted. Throws a Problem; what the signal says when it is aborted. */
  async run(parcels: Iterable<Parcel>, signal: AbortSignal): Promise<void> {
    const waiting = parcels[Symbol.iterator]();
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const lane = async () => {
      for (let { value, done } = waiting.next(); !done; { value, done } = waiting.next()) {
        either.throwIfAborted();
        // oxlint-disable-next-line no-await-in-loop -- a lane sends one after the other
        await this.send(value as Parcel, either);
      }
    };
    const lanes = Array.from({ length: LANES }, () =>
      lane().catch((error: unknown) => {
        failed.abort(error); // the others end, too
        throw error;
      }),
    );
    const ends = await Promise.allSettled(lanes);
    const broken = ends.find((end) => end.status === "rejected");
    if (signal.aborted) throw signal.reason;
    if (failed.signal.aborted) throw failed.signal.reason;
    if (broken) throw broken.reason;
  }

  private async send(parcel: Parcel, signal: AbortSignal): Promise<void> {
    this.around.onStart(parcel);
    let refused: UploadOpenedOut | undefined;
    let refusals = 0;
    let tries = 0;
    let failing: number | undefined;
    for (;;) {
      // oxlint-disable no-await-in-loop -- each try follows from the one before
      const { waits } = this;
      const policy = await this.current(refused, signal);
      if (waits !== this.waits) [tries, failing] = [0, undefined]; // the network was away: that is nobody's failure
      refused = undefined;
      const posted = await this.attempt(policy, parcel, signal);
      if (!posted) return;
      if (posted.status >= 200 && posted.status < 300) {
        this.around.onReach(true);
        this.around.onSent(parcel, parcel.size);
        await this.around.onPosted(parcel);
        return;
      }
      this.around.onSent(parcel, 0);
      tries += 1;
      failing ??= this.around.now();
      if (posted.status === FORBIDDEN) {
        refused = policy;
        refusals += 1;
      }
      if (posted.status === 0) {
        this.around.onReach(false);
        if (tries > 1) refused = policy; // some stores refuse by cutting the connection
      }
      const passing = posted.status === FORBIDDEN ? refusals < REFUSALS : PASSING.has(posted.status) || posted.code === "RequestTimeout";
      if (!passing || (tries >= FEWEST_TRIES && this.around.now() - failing > PATIENCE_MS)) throw problemOf(posted);
      await this.around.wait(pause(tries), signal);
      // oxlint-enable no-await-in-loop
    }
  }

  /** What the store said; undefined where the file can't be read. */
  private async attempt(policy: UploadOpenedOut, parcel: Parcel, signal: AbortSignal): Promise<Posted | undefined> {
    let blob: Blob;
    try {
      blob = await parcel.blob();
      await blob.slice(0, 1).arrayBuffer(); // a browser says of a file that was changed or removed: "network error"
    } catch {
      this.around.onUnreadable(parcel);
      return undefined;
    }
    signal.throwIfAborted();
    return this.around.post(policy, parcel.number, blob, (bytes) => this.around.onSent(parcel, bytes), signal);
  }

  /** A policy that isn't the one that was just refused; while the network is away, it is waited for. */
  async current(refused: UploadOpenedOut | undefined, signal: AbortSignal): Promise<UploadOpenedOut> {
    for (let tries = 1; this.policy === refused; tries += 1) {
      // oxlint-disable no-await-in-loop -- until there is one
      try {
        this.renewing ??= this.around.renew().finally(() => {
          this.renewing = undefined;
        });
        this.policy = await this.renewing;
      } catch (error) {
        if (!isAway(error)) throw error;
        this.waits += 1;
        this.around.onReach(false);
        await this.around.wait(pause(tries), signal);
      }
      // oxlint-enable no-await-in-loop
    }
    return this.policy;
  }
}

/** Whether a request failed since the server was out of reach, or not up for a moment: it is worth another try. */
export function isAway(error: unknown): boolean {
  const status = (error as Partial<Problem>).status ?? -1;
  return (error as Partial<Problem>).type === "offline" || status === 429 || status >= 502;
}

export function pause(tries: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
}

function problemOf({ status, code }: Posted): Problem {
  const why = code || `status ${status}`;
  return status === 0
    ? { type: "store-unreachable", status, title: "The image store can't be reached from this browser." }
    : { type: "store-refused", status, title: `The image store refused a file (${why}).` };
}
