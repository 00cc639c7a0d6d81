/** Which of a study's analyses another has taken the place of, and which stands. */
import type { AnalysisOut } from "../../api/generated";

/** The study's analyses, as every part of the page asks for them. */
export const OF_STUDY = (studyId: string) => ({ studyId, limit: 50 });

/** The one to open: of those that stand, the newest with a result, else the newest; where none stands, the newest. */
export function toOpen(analyses: readonly AnalysisOut[]): AnalysisOut | undefined {
  const newestFirst = analyses.toSorted((a, b) => b.created_at.localeCompare(a.created_at));
  const standing = newestFirst.filter(({ superseded }) => !superseded);
  return standing.find(({ status }) => status === "completed") ?? standing[0] ?? newestFirst[0];
}

/** The list is read again when another analysis comes; this one alone isn't. */
export function isSuperseded({ id, superseded }: AnalysisOut, listed: readonly AnalysisOut[]): boolean {
  return listed.find((each) => each.id === id)?.superseded ?? superseded;
}

/** Where to go from one that is superseded. */
export function inItsPlace({ id, model }: AnalysisOut, listed: readonly AnalysisOut[]): AnalysisOut | undefined {
  return toOpen(listed.filter((each) => each.id !== id && !each.superseded && each.model.name === model.name));
}
