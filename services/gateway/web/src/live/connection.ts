/** The WebSocket of events, for as long as the page lives: comes back by itself and asks for what it missed. */
import type { Ticket } from "../api/generated";

export interface Frame {
  type: string;
  cursor: string;
  time?: string;
  data?: { subject: string; sequence: number; [member: string]: unknown };
}

export type Standing = "connecting" | "open" | "lost" | "refused";

export interface Surroundings {
  /** A ticket, or undefined when there is none now; throws when there will be none any more. */
  ticket: () => Promise<Ticket | undefined>;
  dial: () => WebSocket;
  /** An event, once, in the order of its subject. */
  onEvent: (frame: Frame) => void;
  /** What was read before may be old: read it again. */
  onGap: () => void;
  onStanding: (standing: Standing) => void;
  /** The token behind it has ended: in the course of things, or because the login was ended elsewhere. */
  onTokenEnded: () => void;
}

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 30_000;
const MAX_SUBJECTS = 10_000;
const BAD_TICKET = 4401;
/** The page is at fault: coming back would end the same way. */
const FINAL = new Set([1008, 1009, 4403]);

export class Connection {
  private socket: WebSocket | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private cursor: string | undefined;
  private readonly sequences = new Map<string, number>();
  private failures = 0;
  private stopped = false;
  private readonly around: Surroundings;

  constructor(around: Surroundings) {
    this.around = around;
  }

  start(): void {
    this.around.onStanding("connecting");
    void this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  /** The network is back: don't wait any longer. */
  hurry(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.connect();
  }

  private async connect(): Promise<void> {
    let ticket: Ticket | undefined;
    try {
      ticket = await this.around.ticket();
    } catch {
      this.around.onStanding("refused");
      return;
    }
    if (this.stopped) return;
    if (ticket) this.open(ticket);
    else this.later();
  }

  private open({ ticket, cursor }: Ticket): void {
    const first = this.cursor === undefined;
    const socket = this.around.dial();
    this.socket = socket;
    socket.addEventListener("open", () => socket.send(JSON.stringify({ ticket, after: this.cursor ?? cursor })));
    socket.addEventListener("message", ({ data }) => this.take(JSON.parse(String(data)) as Frame, first));
    socket.addEventListener("close", ({ code }) => {
      if (this.stopped) return;
      if (code === BAD_TICKET) this.around.onTokenEnded();
      if (FINAL.has(code)) this.around.onStanding("refused");
      else if (code === BAD_TICKET && this.failures === 0) this.later(0);
      else this.later();
    });
  }

  private take(frame: Frame, first: boolean): void {
    this.cursor = frame.cursor;
    if (frame.type === "ready") {
      this.failures = 0;
      this.around.onStanding("open");
      // What the page read before the first ticket may lack what happened in between.
      if (first) this.around.onGap();
    } else if (frame.type === "resync") {
      this.around.onGap();
    } else if (this.isNew(frame)) {
      this.around.onEvent(frame);
    }
  }

  private isNew({ data }: Frame): boolean {
    if (!data || data.sequence <= (this.sequences.get(data.subject) ?? -1)) return false;
    this.sequences.delete(data.subject); // the newest stand last
    this.sequences.set(data.subject, data.sequence);
    if (this.sequences.size > MAX_SUBJECTS) this.sequences.delete(this.sequences.keys().next().value ?? "");
    return true;
  }

  private later(wait?: number): void {
    this.failures += 1;
    if (this.failures > 1) this.around.onStanding("lost");
    const longest = Math.min(FIRST_WAIT_MS * 2 ** this.failures, LONGEST_WAIT_MS);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.connect();
    }, wait ?? longest * (0.5 + Math.random() / 2));
  }
}
