/** A word on what was done, which goes by itself; and for a while the way back. */
import { OverlayToaster, type Toaster } from "@blueprintjs/core";

import { asProblem } from "../api/problems";
import { inWords } from "../words/problems";
import { catalogue, useLanguage, useWords } from "../words/words";

const SHORT_MS = 5000;
const UNDO_MS = 20_000;
const words = catalogue({ undo: "Undo", undone: "Undone." }, { undo: "Rückgängig", undone: "Rückgängig gemacht." });

let toaster: Promise<Toaster> | undefined;
const show = async (...toast: Parameters<Toaster["show"]>) => {
  toaster ??= OverlayToaster.create({ position: "bottom", maxToasts: 2 });
  (await toaster).show(...toast);
};

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
    if (problem) void show({ message: inWords(problem, language), intent: "danger", timeout: UNDO_MS });
  };
  const done = (message: string, way?: Way) => {
    const undo = async () => {
      try {
        await way?.back();
        await show({ message: t.undone, timeout: SHORT_MS });
      } catch (error) {
        trouble(error);
      }
    };
    const action = way && { text: way.label ?? t.undo, onClick: () => void undo() };
    void show({ message, intent: "success", timeout: way ? UNDO_MS : SHORT_MS, ...(action && { action }) });
  };
  return { done, trouble };
}
