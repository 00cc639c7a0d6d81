import { useState } from "react";

/** Something of several steps that may fail at any: whether it is under way, and what went wrong with it last. */
export function useAttempt() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  /** What `steps` gave; undefined when one of them failed. */
  const attempt = async <T>(steps: () => Promise<T>): Promise<T | undefined> => {
    setBusy(true);
    setProblem(undefined);
    try {
      return await steps();
    } catch (error) {
      setProblem(error);
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return { attempt, busy, problem, reset: () => setProblem(undefined) };
}
