import { expect, test } from "vitest";

import type { UploadOpenedOut } from "../../api/generated";
import type { Posted } from "./posting";
import { LANES, type Parcel, Queue, type Surroundings } from "./queue";

const policy = (name: string) => ({ id: "u", key_prefix: name }) as UploadOpenedOut;
const parcels = (count: number): Parcel[] =>
  Array.from({ length: count }, (_, n) => ({ number: n + 1, size: 10, blob: async () => new Blob(["0123456789"]) }));
const OK: Posted = { status: 204, code: "" };
const AWAY: Posted = { status: 0, code: "" };
const offline = { type: "offline", status: 0, title: "away" };

interface Way {
  answer?: (number: number, tries: number, policy: string) => Posted | Promise<Posted>;
  renew?: (times: number) => UploadOpenedOut;
}

/** A store and a clock in the test's hand. */
function setUp({ answer = () => OK, renew = (times) => policy(`p${times}`) }: Way = {}) {
  const tries = new Map<number, number>();
  const seen = { posted: [] as number[], most: 0, renewals: 0, unreadable: [] as number[], reach: [] as boolean[], sent: new Map<number, number>() };
  let now = 0;
  let open = 0;
  const around: Surroundings = {
    post: async ({ key_prefix }, number, _blob, onSent, signal) => {
      const nth = (tries.get(number) ?? 0) + 1;
      tries.set(number, nth);
      open += 1;
      seen.most = Math.max(seen.most, open);
      onSent(5);
      await Promise.resolve();
      const posted = await answer(number, nth, key_prefix);
      open -= 1;
      signal.throwIfAborted();
      return posted;
    },
    renew: async () => {
      seen.renewals += 1;
      await Promise.resolve();
      return renew(seen.renewals);
    },
    wait: async (ms, signal) => {
      now += ms;
      await Promise.resolve();
      signal.throwIfAborted();
    },
    now: () => now,
    onStart: () => {},
    onSent: ({ number }, bytes) => seen.sent.set(number, bytes),
    onPosted: async ({ number }) => void seen.posted.push(number),
    onUnreadable: ({ number }) => seen.unreadable.push(number),
    onReach: (reached) => seen.reach.push(reached),
  };
  return { queue: new Queue(around, policy("p0")), seen, tries };
}
const never = () => new AbortController().signal;

test("all are posted, six at once", async () => {
  const { queue, seen } = setUp();
  await queue.run(parcels(40), never());
  expect(seen.posted.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
  expect(seen.most).toBe(LANES);
  expect(new Set(seen.sent.values())).toEqual(new Set([10]));
});

test("a policy that ran out is renewed once for all lanes, and the files are sent again", async () => {
  const { queue, seen } = setUp({ answer: (_, __, name) => (name === "p0" ? { status: 403, code: "AccessDenied" } : OK) });
  await queue.run(parcels(12), never());
  expect(seen.posted).toHaveLength(12);
  expect(seen.renewals).toBe(1);
});

test("a store that goes on refusing is told in words", async () => {
  const { queue } = setUp({ answer: () => ({ status: 403, code: "AccessDenied" }) });
  await expect(queue.run(parcels(1), never())).rejects.toMatchObject({ type: "store-refused", title: expect.stringContaining("AccessDenied") });
});

test("a lost network is waited for, however long, and the count goes back", async () => {
  let away = 200;
  const { queue, seen } = setUp({
    answer: () => (away > 0 ? AWAY : OK),
    renew: (times) => {
      away -= 1;
      if (away > 0) throw offline;
      return policy(`p${times}`);
    },
  });
  await queue.run(parcels(8), never());
  expect(seen.posted).toHaveLength(8);
  expect(seen.reach).toContain(false);
  expect(seen.reach.at(-1)).toBe(true);
});

test("a store that never answers while the API does is given up after two minutes", async () => {
  const { queue, tries } = setUp({ answer: () => AWAY });
  await expect(queue.run(parcels(1), never())).rejects.toMatchObject({ type: "store-unreachable" });
  expect(tries.get(1)).toBeGreaterThan(4);
});

test("a failure that passes costs another try; one that doesn't ends it", async () => {
  const passing = setUp({ answer: (_, tries) => (tries < 3 ? { status: 503, code: "SlowDown" } : OK) });
  await passing.queue.run(parcels(3), never());
  expect(passing.seen.posted).toHaveLength(3);
  const lasting = setUp({ answer: (number) => (number === 2 ? { status: 400, code: "EntityTooLarge" } : OK) });
  await expect(lasting.queue.run(parcels(3), never())).rejects.toMatchObject({ type: "store-refused" });
});

test("a refused renewal ends it: the upload is over", async () => {
  const expired = { type: "upload-expired", status: 410, title: "over" };
  const { queue } = setUp({
    answer: () => ({ status: 403, code: "" }),
    renew: () => {
      throw expired;
    },
  });
  await expect(queue.run(parcels(9), never())).rejects.toBe(expired);
});

test("a file that is gone from the disk is left out, the others go", async () => {
  const { queue, seen } = setUp();
  const some = parcels(3);
  some[1] = { number: 2, size: 10, blob: () => Promise.reject(new DOMException("gone", "NotReadableError")) };
  await queue.run(some, never());
  expect(seen.posted.toSorted()).toEqual([1, 3]);
  expect(seen.unreadable).toEqual([2]);
});

test("a pause ends it at once with what was posted; the rest goes in another run", async () => {
  const control = new AbortController();
  const { queue, seen } = setUp({
    answer: (number) => {
      if (number === 10) control.abort("paused");
      return OK;
    },
  });
  const all = parcels(30);
  await expect(queue.run(all, control.signal)).rejects.toBe("paused");
  const before = [...seen.posted];
  expect(before.length).toBeLessThan(20);
  await queue.run(
    all.filter(({ number }) => !before.includes(number)),
    never(),
  );
  expect(new Set(seen.posted).size).toBe(30);
  expect(seen.posted).toHaveLength(30);
});
