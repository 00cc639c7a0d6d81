import { useLocation } from "react-router";

/** The token of a mailed link: behind the `#`, which browsers send to nobody. */
export function useLinkToken(): string {
  return new URLSearchParams(useLocation().hash.slice(1)).get("token") ?? "";
}
