/** When figures are read again: soon after something happened, once a second at most, until they count it. */

const GATHER_MS = 150;
const PAUSE_MS = 1000;
const MOST_TRIES = 30;

export interface Shown {
  figure: string;
  /** Up to which event the answer counts; undefined while there is none. */
  counted: string | null | undefined;
}

export class Pace {
  private readonly wanted = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private before = -PAUSE_MS;
  private tries = 0;
  private readonly shown: () => readonly Shown[];
  private readonly readAgain: (figures: string[]) => void;

  /** `shown`: what is on the page now. `readAgain`: asks anew; the answer comes when it comes. */
  constructor(shown: () => readonly Shown[], readAgain: (figures: string[]) => void) {
    this.shown = shown;
    this.readAgain = readAgain;
  }

  /** An event at this cursor changes these figures. */
  told(figures: readonly string[], cursor: string): void {
    for (const figure of figures) this.wanted.set(figure, offsetIn(cursor));
    this.tries = 0;
    this.plan(GATHER_MS);
  }

  private plan(wait: number): void {
    this.timer ??= setTimeout(() => this.look(), Math.max(wait, this.before + PAUSE_MS - performance.now()));
  }

  private look(): void {
    this.timer = undefined;
    const lacking = this.shown().filter((each) => this.isLacking(each));
    if (lacking.length === 0 || this.tries >= MOST_TRIES) return;
    this.tries += 1;
    this.before = performance.now();
    // What is on its way for the first time may have been answered before this happened: wait for it.
    const old = lacking.filter(({ counted }) => counted !== undefined).map(({ figure }) => figure);
    if (old.length > 0) this.readAgain([...new Set(old)]);
    this.plan(PAUSE_MS);
  }

  private isLacking({ figure, counted }: Shown): boolean {
    return offsetIn(counted ?? null) < (this.wanted.get(figure) ?? -1);
  }
}

/** Cursors are `<offset>.<the event's id>`; offsets grow. */
function offsetIn(cursor: string | null): number {
  return Number.parseInt(cursor ?? "-1", 10);
}
