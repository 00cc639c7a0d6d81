/** A word on what was done, which goes by itself; and for a while the way back. */
import { asProblem } from "../api/problems";
import { inWords } from "../words/problems";
import { catalogue, useLanguage, useWords } from "../words/words";
import { tell } from "./told";

const SHORT_MS = 5000;
const UNDO_MS = 20_000;
const words = catalogue({ undo: "Undo", undone: "Undone." }, { undo: "Rückgängig", undone: "Rückgängig gemacht." });

interface Way {
  /** Throws a Problem. */
  back: () => Promise<unknown>;
  /** Where "Undo" wouldn't be true. */
  label?: string;
}

export function useTell() {
  const t = useWords(words);
  const language = useLanguage();
  const trouble = (error: unknown) => {
    const problem = asProblem(error);
    if (problem) void tell({ message: inWords(problem, language), intent: "danger", timeout: UNDO_MS });
  };
  const done = (message: string, way?: Way) => {
    const undo = async () => {
      try {
        await way?.back();
        await tell({ message: t.undone, timeout: SHORT_MS });
      } catch (error) {
        trouble(error);
      }
    };
    const action = way && { text: way.label ?? t.undo, onClick: () => void undo() };
    void tell({ message, intent: "success", timeout: way ? UNDO_MS : SHORT_MS, ...(action && { action }) });
  };
  return { done, trouble };
}
