/** Why files are refused, in a few words; docs/refusals.md has the sentences. */
import type { Words } from "./words";

export function refusalName(code: string, t: Words): string {
  const known = `refused_${code}`;
  return known in t ? String(t[known as keyof Words]) : code.replaceAll("_", " ");
}
