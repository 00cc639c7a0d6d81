/** What models call their findings, as people write it; a label nobody wrote down here is shown readably. */
const NAMES: Record<string, string> = { covid_19: "COVID-19" };

export function findingName(label: string): string {
  return NAMES[label] ?? label.replaceAll("_", " ");
}
