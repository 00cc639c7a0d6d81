/** What is done with several analyses at once, and what takes it back. */
import type { AnalysisOut, BulkChange, BulkItem, Reason } from "../../api/generated";

export interface Deed {
  do: "organise" | "cancel" | "rerun";
  ids: string[];
  change?: BulkChange;
}

/** A request takes so many; more go one after the other. */
export const MOST = 200;

export function parts({ ids, ...deed }: Deed): Deed[] {
  return Array.from({ length: Math.ceil(ids.length / MOST) }, (_, n) => ({ ...deed, ids: ids.slice(n * MOST, (n + 1) * MOST) }));
}

/** What puts these rows back as they were; nothing for rows on which the deed changed nothing. */
export function reverse({ do: what, change = {} }: Deed, before: readonly AnalysisOut[]): Deed[] {
  const ids = before.map(({ id }) => id);
  if (what === "cancel") return some({ do: "rerun", ids });
  if (what === "rerun") return some({ do: "cancel", ids });
  const tags = [
    ...(change.add_tags ?? []).flatMap((tag) => some(organise(before.filter((row) => !row.tags.includes(tag)), { remove_tags: [tag] }))),
    ...(change.remove_tags ?? []).flatMap((tag) => some(organise(before.filter((row) => row.tags.includes(tag)), { add_tags: [tag] }))),
  ];
  const moved = change.folder === undefined ? [] : before.filter(({ folder }) => (folder ?? null) !== change.folder);
  const folders = grouped(moved, ({ folder }) => folder ?? null).map(([folder, rows]) => organise(rows, { folder }));
  const { priority } = change;
  const others = priority ? before.filter((row) => row.priority !== priority) : [];
  const priorities = grouped(others, (row) => row.priority).map(([former, rows]) => organise(rows, { priority: former }));
  return [...tags, ...folders, ...priorities];
}

/** Why some stayed as they were: each reason once. */
export function reasons(items: readonly BulkItem[]): Reason[] {
  const all = items.flatMap(({ problem }) => (problem ? [problem] : []));
  return all.filter(({ detail }, at) => all.findIndex((other) => other.detail === detail) === at);
}

function organise(rows: readonly AnalysisOut[], change: BulkChange): Deed {
  return { do: "organise", ids: rows.map(({ id }) => id), change };
}

function grouped<K>(rows: readonly AnalysisOut[], by: (row: AnalysisOut) => K): [K, AnalysisOut[]][] {
  const groups = new Map<K, AnalysisOut[]>();
  for (const row of rows) groups.set(by(row), [...(groups.get(by(row)) ?? []), row]);
  return [...groups];
}

function some(deed: Deed): Deed[] {
  return deed.ids.length > 0 ? [deed] : [];
}
