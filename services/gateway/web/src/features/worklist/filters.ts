/** What the address says of the list: read, written, and put into the API's words. Days are the browser's own. */
import type { Status } from "../../api/generated";

export const STATES = ["open", "queued", "running", "completed", "failed", "cancelled"] as const;
export const RESULTS = ["positive", "negative"] as const;
export const PERIODS = ["today", "yesterday", "week", "month"] as const;
export const SORTS = { newest: "-created_at", oldest: "created_at", finished: "-finished_at" } as const;

export type State = (typeof STATES)[number];
export type Result = (typeof RESULTS)[number];
export type Period = (typeof PERIODS)[number];
export type Sort = keyof typeof SORTS;

export interface Shown {
  q: string;
  status: State | undefined;
  result: Result | undefined;
  finding: string | undefined;
  since: Period | undefined;
  from: string | undefined;
  to: string | undefined;
  tag: string | undefined;
  folder: string | undefined;
  mine: boolean;
  urgent: boolean;
  sort: Sort;
}

/** The same as the API takes it; what isn't filtered by isn't there. */
export interface Filters {
  q?: string;
  status?: Status[];
  positive?: boolean;
  finding?: string;
  from?: string;
  to?: string;
  tag?: string;
  folder?: string;
  mine?: boolean;
  urgent_first?: boolean;
  sort?: (typeof SORTS)[Sort];
}

/** In this order they stand in an address, so that one list has one address. */
const NAMES = ["status", "result", "finding", "since", "from", "to", "tag", "folder", "mine", "urgent", "sort", "q"] as const;
export type Name = (typeof NAMES)[number];

const DAY = /^\d{4}-\d\d-\d\d$/;
const DAYS_BACK: Record<Period, number> = { today: 0, yesterday: 1, week: 6, month: 29 };

export function readShown(parameters: URLSearchParams): Shown {
  const text = (name: Name) => parameters.get(name) || undefined;
  const oneOf = <T extends string>(those: readonly T[], name: Name) => those.find((each) => each === parameters.get(name));
  const day = (name: Name) => (DAY.test(text(name) ?? "") && startOf(text(name) ?? "") ? text(name) : undefined);
  return {
    q: text("q") ?? "",
    status: oneOf(STATES, "status"),
    result: oneOf(RESULTS, "result"),
    finding: text("finding"),
    since: oneOf(PERIODS, "since"),
    from: day("from"),
    to: day("to"),
    tag: text("tag"),
    folder: text("folder"),
    mine: text("mine") === "true",
    urgent: text("urgent") === "true",
    sort: oneOf(Object.keys(SORTS) as Sort[], "sort") ?? "newest",
  };
}

/** The address's query with some of it changed; an empty value takes it out. */
export function changed(parameters: URLSearchParams, changes: Partial<Record<Name, string>>): URLSearchParams {
  const values = (name: Name) => (name in changes ? changes[name] : parameters.get(name));
  return new URLSearchParams(NAMES.flatMap((name) => (values(name) ? [[name, values(name) ?? ""]] : [])));
}

/** How many filters there are; an order is none. */
export function counted(shown: Shown): number {
  const { q: _, sort: __, urgent: ___, from, to, ...rest } = shown;
  return Object.values({ ...rest, days: from ?? to }).filter(Boolean).length;
}

export function toFilters(shown: Shown, now = new Date()): Filters {
  const from = shown.since ? daysBack(now, DAYS_BACK[shown.since]) : startOf(shown.from);
  return clean({
    q: shown.q,
    status: shown.status === "open" ? (["queued", "running"] satisfies Status[]) : shown.status && [shown.status],
    positive: shown.result && shown.result === "positive",
    finding: shown.finding,
    from: from?.toISOString(),
    to: shown.since ? undefined : startOf(shown.to, 1)?.toISOString(),
    tag: shown.tag,
    folder: shown.folder,
    mine: shown.mine || undefined,
    urgent_first: shown.urgent || undefined,
    sort: shown.sort === "newest" ? undefined : SORTS[shown.sort],
  });
}

/** Whether this is the list as it is at first: then a new analysis stands on top. */
export function isPlain(filters: Filters): boolean {
  return Object.keys(filters).length === 0;
}

function clean(filters: { [K in keyof Filters]: Filters[K] | undefined }): Filters {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined && value !== "")) as Filters;
}

function startOf(day: string | undefined, later = 0): Date | undefined {
  if (!day) return undefined;
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  const start = new Date(year, month - 1, date + later);
  return Number.isNaN(start.getTime()) ? undefined : start;
}

function daysBack(now: Date, days: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - days);
}
