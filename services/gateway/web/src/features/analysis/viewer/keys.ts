/** What can be done with the images, by a key or by a button. */
import { type Preset, WINDOWS } from "./series";
import type { Stage, Tool } from "./stage";

export type Action =
  | { kind: "step"; by: number }
  | { kind: "end"; last: boolean }
  | { kind: "preset"; preset: Preset }
  | { kind: "zoom"; factor: number }
  | { kind: "pan"; across: number; down: number }
  | { kind: "heat" }
  | { kind: "tool"; tool: Tool }
  | { kind: "clear" }
  | { kind: "reset" };

const FAR = 10;
const MOVE = 40;
const LARGER = 1.25;

const KEYS: Record<string, Action> = {
  ArrowUp: { kind: "step", by: 1 },
  ArrowRight: { kind: "step", by: 1 },
  ArrowDown: { kind: "step", by: -1 },
  ArrowLeft: { kind: "step", by: -1 },
  PageUp: { kind: "step", by: FAR },
  PageDown: { kind: "step", by: -FAR },
  Home: { kind: "end", last: false },
  End: { kind: "end", last: true },
  1: { kind: "preset", preset: "lung" },
  2: { kind: "preset", preset: "mediastinum" },
  3: { kind: "preset", preset: "bone" },
  "+": { kind: "zoom", factor: LARGER },
  "=": { kind: "zoom", factor: LARGER },
  "-": { kind: "zoom", factor: 1 / LARGER },
  h: { kind: "heat" },
  m: { kind: "tool", tool: "measure" },
  w: { kind: "tool", tool: "window" },
  p: { kind: "tool", tool: "pan" },
  z: { kind: "tool", tool: "zoom" },
  Delete: { kind: "clear" },
  0: { kind: "reset" },
};
const MOVES: Record<string, Action> = {
  ArrowUp: { kind: "pan", across: 0, down: -MOVE },
  ArrowDown: { kind: "pan", across: 0, down: MOVE },
  ArrowLeft: { kind: "pan", across: -MOVE, down: 0 },
  ArrowRight: { kind: "pan", across: MOVE, down: 0 },
};

interface Press {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

export function actionOf({ key, shiftKey, ctrlKey, altKey, metaKey }: Press): Action | undefined {
  if (ctrlKey || altKey || metaKey) return undefined; // the browser's own
  const name = key.length === 1 ? key.toLowerCase() : key;
  return (shiftKey && MOVES[name]) || KEYS[name];
}

interface Hands {
  stage: Stage | undefined;
  n: number;
  total: number;
  /** Whether the pixels' size is known. */
  measurable: boolean;
  onN: (n: number) => void;
  setHeat: (change: (before: boolean) => boolean) => void;
  setTool: (tool: Tool) => void;
}

export function act(action: Action, { stage, n, total, measurable, onN, setHeat, setTool }: Hands): void {
  switch (action.kind) {
    case "step":
      return onN(n + action.by);
    case "end":
      return onN(action.last ? total - 1 : 0);
    case "preset":
      return stage?.setWindow(WINDOWS[action.preset]);
    case "zoom":
      return stage?.zoom(action.factor);
    case "pan":
      return stage?.pan(action.across, action.down);
    case "heat":
      return setHeat((before) => !before);
    case "tool":
      return action.tool === "measure" && !measurable ? undefined : setTool(action.tool);
    case "clear":
      return stage?.clearMeasurements();
    case "reset":
      return stage?.reset();
  }
}
