import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Connection, type Standing } from "./connection";

/** The browser's end of a socket, held in the test's hand. */
class Line extends EventTarget {
  sent: { ticket: string; after: string }[] = [];
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
  opens() {
    this.dispatchEvent(new Event("open"));
  }
  hears(frame: object) {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(frame) }));
  }
  ends(code: number) {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

const event = (sequence: number, cursor: string, subject = "analysis/1") => ({
  type: "codetect.analysis.progressed.v1",
  cursor,
  data: { subject, sequence },
});

function setUp(ticket = async () => ({ ticket: "t", cursor: "0.start" }) as { ticket: string; cursor: string } | undefined) {
  const lines: Line[] = [];
  const told: number[] = [];
  const standings: Standing[] = [];
  let [gaps, ends] = [0, 0];
  const connection = new Connection({
    ticket,
    dial: () => {
      const line = new Line();
      lines.push(line);
      return line as unknown as WebSocket;
    },
    onEvent: ({ data }) => told.push(data?.sequence ?? -1),
    onGap: () => (gaps += 1),
    onStanding: (standing) => standings.push(standing),
    onTokenEnded: () => (ends += 1),
  });
  connection.start();
  return { connection, lines, told, standings, gaps: () => gaps, ends: () => ends };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function connected() {
  const set = setUp();
  await vi.advanceTimersByTimeAsync(0);
  set.lines[0]?.opens();
  set.lines[0]?.hears({ type: "ready", cursor: "1.a" });
  return set;
}

test("begins at the ticket's cursor and reads again what was read before it", async () => {
  const { lines, standings, gaps } = await connected();
  expect(lines[0]?.sent).toEqual([{ ticket: "t", after: "0.start" }]);
  expect(standings).toEqual(["connecting", "open"]);
  expect(gaps()).toBe(1);
});

test("comes back after the last frame it saw, and tells nothing twice", async () => {
  const { lines, told, gaps } = await connected();
  lines[0]?.hears(event(1, "2.b"));
  lines[0]?.hears(event(2, "3.c"));
  lines[0]?.ends(1012);
  await vi.advanceTimersByTimeAsync(1000);
  lines[1]?.opens();
  expect(lines[1]?.sent[0]?.after).toBe("3.c");
  lines[1]?.hears({ type: "ready", cursor: "3.c" });
  lines[1]?.hears(event(2, "3.c"));
  lines[1]?.hears(event(3, "4.d"));
  lines[1]?.hears(event(1, "5.e", "analysis/2"));
  expect(told).toEqual([1, 2, 3, 1]);
  expect(gaps()).toBe(1);
});

test("what it missed for good is read again", async () => {
  const { lines, gaps } = await connected();
  lines[0]?.hears({ type: "resync", cursor: "9.z" });
  expect(gaps()).toBe(2);
});

test("an ended token costs one new ticket, at once", async () => {
  const { lines, standings, ends } = await connected();
  lines[0]?.ends(4401);
  expect(ends()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(lines).toHaveLength(2);
  expect(standings).not.toContain("lost");
});

test("waits longer each time, up to half a minute, and says that it is lost", async () => {
  const { lines, standings, connection } = await connected();
  for (let n = 0; n < 12; n += 1) {
    lines.at(-1)?.ends(1006);
    const before = lines.length;
    await vi.advanceTimersByTimeAsync(99);
    expect(lines).toHaveLength(before);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(lines).toHaveLength(before + 1);
  }
  expect(standings).toContain("lost");
  lines.at(-1)?.ends(1006);
  connection.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect(lines).toHaveLength(14);
});

test("ends where coming back would end the same way, and where nobody is logged in", async () => {
  const { lines, standings } = await connected();
  lines[0]?.ends(4403);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines).toHaveLength(1);
  expect(standings.at(-1)).toBe("refused");

  const out = setUp(async () => {
    throw new Error("logged out");
  });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(out.lines).toHaveLength(0);
  expect(out.standings).toEqual(["connecting", "refused"]);
});

test("a stopped one stays away", async () => {
  const { lines, connection } = await connected();
  connection.stop();
  lines[0]?.ends(1006);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines).toHaveLength(1);
});
