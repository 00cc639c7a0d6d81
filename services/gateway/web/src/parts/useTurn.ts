/** False at first: what takes long to draw waits for its turn, one a frame, so that its page is there at once. */
import { useEffect, useState } from "react";

const waiting = new Set<() => void>();
let planned = false;

function plan(): void {
  if (planned || waiting.size === 0) return;
  planned = true;
  requestAnimationFrame(() =>
    setTimeout(() => {
      planned = false;
      const [first] = waiting;
      if (first) {
        waiting.delete(first);
        first();
      }
      plan();
    }),
  );
}

export function useTurn(): boolean {
  const [come, setCome] = useState(false);
  useEffect(() => {
    const turn = () => setCome(true);
    waiting.add(turn);
    plan();
    return () => {
      waiting.delete(turn);
    };
  }, []);
  return come;
}
