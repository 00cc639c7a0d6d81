/** How facts of an analysis are written. */
import type { FindingOut, Says } from "../../api/generated";

/** The positive finding that is surest; the likeliest where none is. */
export function foremost(findings: readonly FindingOut[]): FindingOut | undefined {
  return findings.toSorted((a, b) => Number(b.positive) - Number(a.positive) || b.probability - a.probability)[0];
}

export function percent(share: number, language: string): string {
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return `${(share * 100).toLocaleString(language, { maximumFractionDigits: digits })} %`;
}

export function says({ positive }: FindingOut): Says {
  return positive ? "present" : "absent";
}
