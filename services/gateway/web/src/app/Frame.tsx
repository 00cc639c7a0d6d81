/** What stands around every page: the way past the header for keyboards, and what this software isn't. */
import type { ReactNode } from "react";
import { Suspense } from "react";

import { Skeleton } from "../parts/Skeleton";
import { useWords } from "../words/words";
import { words } from "./words";

export function Frame({ header, kind, children }: { header: ReactNode; kind: string; children: ReactNode }) {
  const t = useWords(words);
  return (
    <div className={`frame ${kind}`}>
      <a className="skip" href="#content">
        {t.skip}
      </a>
      {header}
      <main id="content" tabIndex={-1}>
        <Suspense fallback={<Skeleton />}>{children}</Suspense>
      </main>
      <footer className="notice">{t.notice}</footer>
    </div>
  );
}
