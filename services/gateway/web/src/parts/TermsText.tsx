import { Skeleton } from "./Skeleton";
import type { TermsOut } from "../api/generated";

/** The terms of use, to scroll through by hand or keyboard. */
export function TermsText({ terms }: { terms: TermsOut | undefined }) {
  return terms ? (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard
    <div className="terms" tabIndex={0}>
      {terms.text}
    </div>
  ) : (
    <Skeleton />
  );
}
