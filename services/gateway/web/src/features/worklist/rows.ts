/** What becomes of the rows that are there when something happens. Pages may be Immer drafts: they are changed. */
import type { AnalysisOut, AnalysisPage, BulkChange, FindingOut } from "../../api/generated";

/** What `analysis.progressed` tells. */
export interface Progress {
  analysis_id: string;
  slices_done: number;
  slices_total: number;
}

/** Put the newest word on an analysis in its row; a new one goes on top. */
export function upsert(pages: AnalysisPage[], analysis: AnalysisOut): void {
  if (!replace(pages, analysis)) pages[0]?.items.unshift(analysis);
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

/** What organising will have done to these rows, before the server has said so. */
export function organise(pages: AnalysisPage[], ids: ReadonlySet<string>, change: BulkChange): void {
  const { add_tags: added = [], remove_tags: removed = [] } = change;
  for (const row of pages.flatMap(({ items }) => items)) {
    if (!ids.has(row.id)) continue;
    row.tags = [...new Set([...row.tags, ...added])].filter((tag) => !removed.includes(tag));
    if (change.folder !== undefined) row.folder = change.folder;
    if (change.priority) row.priority = change.priority;
  }
}

/** The positive finding that is surest; the likeliest where none is. */
export function foremost(findings: readonly FindingOut[]): FindingOut | undefined {
  return findings.toSorted((a, b) => Number(b.positive) - Number(a.positive) || b.probability - a.probability)[0];
}
