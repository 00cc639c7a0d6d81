/** How facts of an analysis are written. */
import type { Bundle, FindingOut, Metrics, Says } from "../../api/generated";

export function percent(share: number, language: string): string {
  const digits = share > 0 && share < 0.1 ? 1 : 0;
  return `${(share * 100).toLocaleString(language, { maximumFractionDigits: digits })} %`;
}

/** The test that says how far a finding's number can be trusted: tests name data, no finding, so only of models with one. */
export function testOf({ labels, metrics }: Bundle): Metrics | undefined {
  return labels.length === 1 ? metrics[0] : undefined;
}

export function says({ positive }: FindingOut): Says {
  return positive ? "present" : "absent";
}
