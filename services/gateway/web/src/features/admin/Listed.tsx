/** A list that goes on: what is there of it, what to say when nothing is, and more of it when asked for. */
import { Button } from "@blueprintjs/core";
import type { ReactNode } from "react";

import { ProblemNote } from "../../parts/ProblemNote";
import { Skeleton } from "../../parts/Skeleton";
import { useWords } from "../../words/words";
import { words } from "./words";

/** What an infinite query's hook gives, as far as a list needs it. */
export interface List<Item> {
  data?: { pages: { items: Item[] }[] } | undefined;
  error?: unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

interface Props<Item> {
  list: List<Item>;
  label: string;
  empty: ReactNode;
  /** Which of them to show; all if not given. */
  only?: (item: Item) => boolean;
  children: (item: Item) => ReactNode;
}

export function Listed<Item>({ list, label, empty, only, children }: Props<Item>) {
  const t = useWords(words);
  const items = list.data?.pages.flatMap((page) => page.items).filter((item) => !only || only(item));
  return (
    <>
      <ProblemNote problem={list.error} {...(list.error ? { retry: () => void list.refetch() } : {})} />
      {!items && !list.error && <Skeleton />}
      {items?.length === 0 && <div className="empty">{empty}</div>}
      {items && items.length > 0 && (
        <ul className="things" aria-label={label}>
          {items.map(children)}
        </ul>
      )}
      {list.hasNextPage && (
        <Button className="more" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          {t.more}
        </Button>
      )}
    </>
  );
}
