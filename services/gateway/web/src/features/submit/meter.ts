/** How far it is, and how fast. */
import type { AppDispatch } from "../../app/store";
import type { Line } from "./ledger";
import type { Parcel } from "./queue";
import { stood } from "./slice";

export const SHOWN_EVERY_MS = 200;

/** Counts what leaves, and shows it a few times a second. */
export class Meter {
  private readonly under = new Map<number, { name: string; sent: number; size: number }>();
  private readonly nameOf = new Map<number, string>();
  private files = 0;
  private bytes = 0;
  private away = false;
  private lastBytes = 0;
  private lastAt = performance.now();
  private speed = 0;
  private stopped = false;
  private readonly timer: ReturnType<typeof setInterval>;
  private readonly dispatch: AppDispatch;

  constructor(dispatch: AppDispatch, wanted: readonly { name: string; fingerprint: string }[], lines: ReadonlyMap<string, Line>, signal: AbortSignal) {
    this.dispatch = dispatch;
    signal.addEventListener("abort", () => this.stop());
    for (const item of wanted) {
      const line = lines.get(item.fingerprint);
      if (!line) continue;
      this.nameOf.set(line.number, item.name);
      if (line.posted) {
        this.files += 1;
        this.bytes += line.size;
      }
    }
    this.lastBytes = this.bytes;
    this.timer = setInterval(() => this.show(), SHOWN_EVERY_MS);
    this.show();
  }

  start({ number, size }: Parcel): void {
    this.under.set(number, { name: this.nameOf.get(number) ?? "", sent: 0, size });
  }

  sent({ number }: Parcel, bytes: number): void {
    const one = this.under.get(number);
    if (one) one.sent = bytes;
  }

  posted({ number, size }: Parcel): void {
    this.under.delete(number);
    this.files += 1;
    this.bytes += size;
  }

  dropped({ number }: Parcel): void {
    this.under.delete(number);
  }

  reached(reached: boolean): void {
    this.away = !reached;
  }

  /** What is under way now counts for nothing. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    clearInterval(this.timer);
    this.dispatch(stood({ sent: { files: this.files, bytes: this.bytes }, bytesPerSecond: 0 }));
  }

  private show(): void {
    const underWay = [...this.under].map(([number, { name, sent, size }]) => ({ number, name, sent, size }));
    const bytes = this.bytes + underWay.reduce((sum, { sent }) => sum + sent, 0);
    const now = performance.now();
    const seconds = (now - this.lastAt) / 1000;
    if (seconds > 0.1) {
      const speed = Math.max(0, bytes - this.lastBytes) / seconds;
      this.speed = this.speed ? this.speed * 0.8 + speed * 0.2 : speed;
      [this.lastBytes, this.lastAt] = [bytes, now];
    }
    this.dispatch(
      stood({
        phase: this.away || !navigator.onLine ? "waiting" : "sending",
        underWay,
        sent: { files: this.files, bytes },
        bytesPerSecond: Math.round(this.speed),
      }),
    );
  }
}
