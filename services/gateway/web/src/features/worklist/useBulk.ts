/** Doing something with several rows: what came of it is told, with the way back. */
import { useState } from "react";

import { api } from "../../api/api";
import type { AnalysisOut, BulkItem, Reason } from "../../api/generated";
import { type Deed, parts, reasons, reverse } from "./deeds";

export interface Outcome {
  text: string;
  refused: number;
  reasons: Reason[];
  undo: Deed[];
}

export interface Bulk {
  outcome: Outcome | undefined;
  problem: unknown;
  busy: boolean;
  act: (rows: readonly AnalysisOut[], deed: Omit<Deed, "ids">, said: (count: number) => string) => Promise<void>;
  undo: (said: string) => Promise<void>;
  dismiss: () => void;
}

export function useBulk(): Bulk {
  const [change, { isLoading: busy }] = api.useChangeAnalysesMutation();
  const [outcome, setOutcome] = useState<Outcome>();
  const [problem, setProblem] = useState<unknown>();

  const send = async (deeds: Deed[]): Promise<BulkItem[]> => {
    const items: BulkItem[] = [];
    setProblem(undefined);
    for (const part of deeds.flatMap(parts)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other: what fails stops the rest
      const answer = await change({ bulkRequest: part });
      if (answer.error) {
        setProblem(answer.error);
        break;
      }
      items.push(...answer.data.items);
    }
    return items;
  };
  const tell = (items: BulkItem[], text: string, undo: Deed[]) => {
    const refused = items.filter((item) => item.problem);
    if (items.length > 0) setOutcome({ text, refused: refused.length, reasons: reasons(refused), undo });
  };

  return {
    outcome,
    problem,
    busy,
    act: async (rows, deed, said) => {
      const whole = { ...deed, ids: rows.map(({ id }) => id) };
      const items = await send([whole]);
      const done = new Set(items.flatMap(({ id, problem: why }) => (why ? [] : [id])));
      const undo = reverse(whole, rows.filter(({ id }) => done.has(id)));
      tell(items, done.size > 0 ? said(done.size) : "", undo);
    },
    undo: async (said) => {
      const deeds = outcome?.undo ?? [];
      setOutcome(undefined);
      tell(await send(deeds), said, []);
    },
    dismiss: () => {
      setOutcome(undefined);
      setProblem(undefined);
    },
  };
}
