const PATIENCE_MS = 5000;

/** The viewer is large: whoever sees the worklist gets it while nothing else is to do. */
export function prefetchViewer(): void {
  if ("requestIdleCallback" in window) requestIdleCallback(fetchIt, { timeout: PATIENCE_MS });
  else setTimeout(fetchIt, PATIENCE_MS);
}

function fetchIt(): void {
  void import("./viewer/Viewer").catch(() => undefined); // it is asked for again when it is needed
}
