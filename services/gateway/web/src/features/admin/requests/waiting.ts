import type { RequestState } from "../../../api/generated";

const LOOK_AGAIN_MS = 30_000;

/** What waits for a decision; whoever looks at it sees new ones come. The page and the menu ask the same. */
export const WAITING = [
  { status: "confirmed" as RequestState },
  { pollingInterval: LOOK_AGAIN_MS, skipPollingIfUnfocused: true, refetchOnFocus: true },
] as const;
