/** The curve of a finding's scores as lines of points (slice, 1 - score); it breaks where slices weren't read. */
import type { SliceOut } from "../../api/generated";

export function points(slices: readonly SliceOut[], label: string): [number, number][][] {
  const lines: [number, number][][] = [];
  let going = false;
  for (const { n, probabilities } of slices) {
    const score = probabilities[label];
    if (score === undefined) {
      going = false;
      continue;
    }
    if (!going) lines.push([]);
    going = true;
    lines.at(-1)?.push([n, 1 - score]);
  }
  return lines;
}
