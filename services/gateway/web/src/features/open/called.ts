/** What a link from a PACS calls a study; behind a `#` it reaches no server and no log. */
import type { AnalysisOut, FindRequest } from "../../api/generated";

const NAMES = {
  accession_number: ["accession", "AccessionNumber"],
  study_instance_uid: ["study_uid", "StudyInstanceUID"],
} as const;

export function calledIn(search: string, hash: string): FindRequest | undefined {
  for (const parameters of [new URLSearchParams(hash.slice(1)), new URLSearchParams(search)]) {
    for (const [member, names] of Object.entries(NAMES)) {
      const value = names.map((name) => parameters.get(name)?.trim()).find(Boolean);
      if (value) return { [member]: value };
    }
  }
  return undefined;
}

/** The one to open of a study's analyses: the newest that isn't superseded. */
export function toOpen(analyses: readonly AnalysisOut[]): AnalysisOut | undefined {
  const newestFirst = analyses.toSorted((a, b) => b.created_at.localeCompare(a.created_at));
  return newestFirst.find(({ superseded }) => !superseded) ?? newestFirst[0];
}
