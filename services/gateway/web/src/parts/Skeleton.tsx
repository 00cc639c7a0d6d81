import { useWords } from "../words/words";
import { words } from "../app/words";

/** Where something is about to stand. */
export function Skeleton({ lines = 5 }: { lines?: number }) {
  const t = useWords(words);
  return (
    <div role="status" aria-label={t.loading} className="skeleton">
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} className="bp6-skeleton" />
      ))}
    </div>
  );
}
