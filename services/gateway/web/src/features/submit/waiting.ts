/** A pause, cut short when the network comes back. */
export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done, failed) => {
    const end = (settle: () => void) => () => {
      clearTimeout(timer);
      removeEventListener("online", over);
      signal.removeEventListener("abort", aborted);
      settle();
    };
    const over = end(done);
    const aborted = end(() => failed(signal.reason as Error));
    const timer = setTimeout(over, ms);
    addEventListener("online", over);
    signal.addEventListener("abort", aborted);
    if (signal.aborted) aborted();
  });
}
