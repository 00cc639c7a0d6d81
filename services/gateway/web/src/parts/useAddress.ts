/** What the address says behind its `?`; it holds what a page shows, so that a link or a reload shows it again. */
import { useCallback } from "react";
import { useSearchParams } from "react-router";

type Change = (now: URLSearchParams) => URLSearchParams;

export function useAddress(): readonly [URLSearchParams, (change: Change) => void] {
  const [parameters, setParameters] = useSearchParams();
  const set = useCallback(
    // What the address says by now: in `parameters` a change that is still on its way would be missing, and be undone.
    (change: Change) => setParameters(change(new URLSearchParams(location.search)), { replace: true }),
    [setParameters],
  );
  return [parameters, set];
}

/** With some of it changed; an empty value takes it out. */
export function amended(now: URLSearchParams, changes: Record<string, string>): URLSearchParams {
  const after = new URLSearchParams(now);
  for (const [name, value] of Object.entries(changes)) {
    if (value) after.set(name, value);
    else after.delete(name);
  }
  return after;
}
