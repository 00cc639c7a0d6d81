import type { FindingOut } from "../api/generated";

/** The positive finding that is surest; the likeliest where none is. */
export function foremost(findings: readonly FindingOut[]): FindingOut | undefined {
  return findings.toSorted((a, b) => Number(b.positive) - Number(a.positive) || b.probability - a.probability)[0];
}
