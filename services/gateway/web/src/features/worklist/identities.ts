/** Whose studies the rows in sight are: asked for together, kept by the page's memory alone. */
import type { Problem } from "../../api/problems";
import type { IdentityOut, IdentitiesOut } from "../../api/generated";

type Answer = { data: IdentityOut | null } | { error: Problem };
type Ask = (ids: string[]) => PromiseLike<{ data?: IdentitiesOut; error?: unknown }>;

const TOGETHER_MS = 120;
const MOST = 200;

/** Collects what is asked for within a moment and asks once; a longer list in several parts. */
export class Together {
  private waiting = new Map<string, ((answer: Answer) => void)[]>();

  ask(studyId: string, asking: Ask): Promise<Answer> {
    if (this.waiting.size === 0) setTimeout(() => void this.send(asking), TOGETHER_MS);
    return new Promise((resolve) => {
      this.waiting.set(studyId, [...(this.waiting.get(studyId) ?? []), resolve]);
    });
  }

  private async send(asking: Ask): Promise<void> {
    const waiting = this.waiting;
    this.waiting = new Map();
    const ids = [...waiting.keys()];
    const parts = Array.from({ length: Math.ceil(ids.length / MOST) }, (_, n) => ids.slice(n * MOST, (n + 1) * MOST));
    const answerOne = async (part: string[]) => {
      const { data, error } = await asking(part);
      const found = new Map(data?.items.map((each) => [each.study_id, each]));
      for (const id of part) {
        const answer: Answer = error ? { error: error as Problem } : { data: found.get(id) ?? null };
        for (const resolve of waiting.get(id) ?? []) resolve(answer);
      }
    };
    await Promise.all(parts.map(answerOne));
  }
}

export const identities = new Together();
