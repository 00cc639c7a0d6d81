/** A finding in a line: what is below its threshold doesn't stand out. */
import type { FindingOut } from "../api/generated";
import { findingName } from "../words/findings";

export function ShortFinding({ finding: { label, probability, positive } }: { finding: FindingOut }) {
  const percent = `${Math.round(probability * 100)} %`;
  return positive ? (
    <>
      <strong className="positive">{findingName(label)}</strong> {percent}
    </>
  ) : (
    <span className="quiet">
      {findingName(label)} {percent}
    </span>
  );
}
