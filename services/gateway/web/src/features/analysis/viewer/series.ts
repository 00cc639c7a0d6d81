/** The slices of an analysis as a viewer needs them: how they lie in the patient, and in which order to fetch them. */
import type { AnalysisOut, SliceList } from "../../../api/generated";
import { foremost } from "../../../parts/foremost";

export type Vector = [number, number, number];

export interface Series extends Omit<SliceList, "pixel_spacing_mm"> {
  analysisId: string;
  /** Between rows, between columns; undefined: nothing can be measured. */
  spacing: [number, number] | undefined;
}

export interface Window {
  level: number;
  width: number;
}

export const WINDOWS = {
  lung: { level: -600, width: 1500 },
  mediastinum: { level: 40, width: 400 },
  bone: { level: 400, width: 1800 },
} as const satisfies Record<string, Window>;
export type Preset = keyof typeof WINDOWS;

export function seriesOf(analysisId: string, { pixel_spacing_mm: spacing, ...list }: SliceList): Series {
  return { ...list, analysisId, spacing: spacing ?? undefined };
}

export function presetOf({ level, width }: Window): Preset | undefined {
  const [found] = Object.entries(WINDOWS).find(([, each]) => each.level === level && each.width === width) ?? [];
  return found as Preset | undefined;
}

/** Where to begin: the slice that argues most for the foremost finding; the middle where nothing does. */
export function firstSlice({ findings, top_slices: top }: AnalysisOut, slices: number): number {
  const peak = foremost(findings)?.peak?.slice ?? top[0];
  return Math.min(peak ?? Math.floor(slices / 2), Math.max(0, slices - 1));
}

/** All others, the nearest first. */
export function nearest(n: number, slices: number, reach: number): number[] {
  const found: number[] = [];
  for (let step = 1; step <= reach; step += 1) {
    if (n + step < slices) found.push(n + step);
    if (n - step >= 0) found.push(n - step);
  }
  return found;
}

/** What stands at the left, right, top and bottom of the image: R, L, A, P, H, F (PS3.3 C.7.6.1.1.1). */
export function edges(orientation: readonly number[]): { left: string; right: string; top: string; bottom: string } {
  const [right, left] = ends(orientation.slice(0, 3));
  const [bottom, top] = ends(orientation.slice(3, 6));
  return { left, right, top, bottom };
}

const TOWARDS = ["L", "P", "H"];
const AWAY = ["R", "A", "F"];

function ends(direction: readonly number[]): [string, string] {
  const sizes = direction.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  const letters: [string, string] = [TOWARDS[axis] ?? "", AWAY[axis] ?? ""];
  return (direction[axis] ?? 0) >= 0 ? letters : [letters[1], letters[0]];
}

/** Where in the patient (LPS, mm) a pixel lies; the first one's centre is 0, 0. */
export function placeOf({ items, orientation, spacing }: Series, n: number, column: number, row: number): Vector {
  const origin = items[n]?.position_mm ?? [0, 0, 0];
  const [down, across] = spacing ?? [1, 1];
  const at = (axis: 0 | 1 | 2) =>
    origin[axis] + (orientation[axis] ?? 0) * column * across + (orientation[axis + 3] ?? 0) * row * down;
  return [at(0), at(1), at(2)];
}

/** The slice whose place along the body is nearest to this, in mm. */
export function nearestTo(place: number, { items, orientation }: Series): number {
  let [found, distance] = [0, Infinity];
  for (const { n, position_mm } of items) {
    const away = Math.abs(along(position_mm, orientation) - place);
    if (away < distance) [found, distance] = [n, away];
  }
  return found;
}

/** Where a slice lies along the body, in mm: its distance along the image's normal. */
export function placeAlong({ items, orientation }: Series, n: number): number {
  return along(items[n]?.position_mm ?? [0, 0, n], orientation);
}

function along(position: readonly number[], [a, b, c, d, e, f]: Series["orientation"]): number {
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  return normal.reduce((sum, part, axis) => sum + part * (position[axis] ?? 0), 0);
}
