/** What a link from a PACS calls a study; behind a `#` it reaches no server and no log. */
import type { FindRequest } from "../../api/generated";

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
