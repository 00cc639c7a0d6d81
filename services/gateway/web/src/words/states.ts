/** What becomes of an analysis, in words. */
import type { Status } from "../api/generated";
import { catalogue } from "./words";

export const stateWords = catalogue<Record<Status | "urgent", string>>(
  { queued: "Waiting", running: "Running", completed: "Done", failed: "Failed", cancelled: "Cancelled", urgent: "Urgent" },
  { queued: "Wartet", running: "Läuft", completed: "Fertig", failed: "Gescheitert", cancelled: "Abgebrochen", urgent: "Dringend" },
);
