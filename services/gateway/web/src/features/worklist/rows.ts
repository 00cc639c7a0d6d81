/** What becomes of the rows that are there when something happens. Pages may be Immer drafts: they are changed. */
import type { AnalysisOut, AnalysisPage, BulkChange } from "../../api/generated";

/** What `analysis.progressed` tells. */
export interface Progress {
  analysis_id: string;
  slices_done: number;
  slices_total: number;
}

/** Put the newest word on an analysis in its row, or where the newest come first; what comes with a later page isn't there yet. */
export function upsert(pages: AnalysisPage[], analysis: AnalysisOut): void {
  if (replace(pages, analysis)) return;
  for (const { items } of pages) {
    const at = items.findIndex((row) => isNewer(analysis, row));
    if (at >= 0) {
      items.splice(at, 0, analysis);
      return;
    }
  }
  const last = pages.at(-1);
  if (last && !last.next) last.items.push(analysis);
}

/** As the API orders them: by time, to the microsecond, which Date doesn't know; then by id. */
function isNewer(one: AnalysisOut, other: AnalysisOut): boolean {
  const apart = Date.parse(one.created_at) - Date.parse(other.created_at);
  return apart === 0 ? `${one.created_at} ${one.id}` > `${other.created_at} ${other.id}` : apart > 0;
}

/** Put the newest word on an analysis in its row, if it has one. */
export function replace(pages: AnalysisPage[], analysis: AnalysisOut): boolean {
  for (const page of pages) {
    const at = page.items.findIndex(({ id }) => id === analysis.id);
    if (at >= 0) {
      page.items[at] = analysis;
      return true;
    }
  }
  return false;
}

/** Whether the rows hold another, not yet superseded analysis of the same study by the same model. */
export function isAnotherOf(pages: readonly AnalysisPage[], { id, study_id, model, superseded }: AnalysisOut): boolean {
  return (
    !superseded &&
    pages.some(({ items }) =>
      items.some(
        (row) => row.id !== id && row.study_id === study_id && row.model.name === model.name && !row.superseded,
      ),
    )
  );
}

/** How far a running one is; what is over stays over. */
export function progress(pages: AnalysisPage[], told: Progress): void {
  const row = pages.flatMap(({ items }) => items).find(({ id }) => id === told.analysis_id);
  if (!row || (row.status !== "queued" && row.status !== "running")) return;
  row.status = "running";
  row.slices_done = told.slices_done;
  row.slices_total = told.slices_total;
}

/** How rows were organised, by their ids. */
export type Organised = Map<string, Pick<AnalysisOut, "tags" | "folder" | "priority">>;

/** What organising will have done to these rows, before the server has said so. Returns how they were. */
export function organise(pages: AnalysisPage[], ids: ReadonlySet<string>, change: BulkChange): Organised {
  const { add_tags: added = [], remove_tags: removed = [] } = change;
  const before: Organised = new Map();
  for (const row of pages.flatMap(({ items }) => items)) {
    if (!ids.has(row.id)) continue;
    before.set(row.id, { tags: [...row.tags], folder: row.folder, priority: row.priority });
    row.tags = [...new Set([...row.tags, ...added])].filter((tag) => !removed.includes(tag));
    if (change.folder !== undefined) row.folder = change.folder;
    if (change.priority) row.priority = change.priority;
  }
  return before;
}

/** The server said no: these rows are as they were, wherever they stand by now. */
export function putBack(pages: AnalysisPage[], before: Organised): void {
  for (const row of pages.flatMap(({ items }) => items)) Object.assign(row, before.get(row.id));
}
