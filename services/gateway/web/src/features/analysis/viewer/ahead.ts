/** Fetches what will be looked at next: the slices around the one in sight, a few at a time, the nearest first. */
import { nearest } from "./series";

export const REACH = 150;
const AT_ONCE = 3;

export class Ahead {
  private readonly asked = new Set<number>();
  private underWay = 0;
  private waiting: number[] = [];
  private stopped = false;
  private readonly slices: number;
  private readonly fetch: (n: number) => Promise<unknown>;

  constructor(slices: number, fetch: (n: number) => Promise<unknown>) {
    this.slices = slices;
    this.fetch = fetch;
  }

  /** Somebody looks at this one now. */
  look(n: number): void {
    this.asked.add(n);
    this.waiting = nearest(n, this.slices, REACH).filter((each) => !this.asked.has(each));
    this.go();
  }

  stop(): void {
    this.stopped = true;
  }

  private go(): void {
    while (!this.stopped && this.underWay < AT_ONCE) {
      const n = this.waiting.shift();
      if (n === undefined) return;
      this.asked.add(n);
      this.underWay += 1;
      void this.fetch(n)
        .catch(() => this.asked.delete(n)) // whoever goes there sees why
        .finally(() => {
          this.underWay -= 1;
          this.go();
        });
    }
  }
}
