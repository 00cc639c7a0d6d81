/** How Cornerstone gets our slices: their values in HU, from the prepared volume. Nothing is decoded here. */
import { Enums, type Types, cache, imageLoader, metaData, utilities } from "@cornerstonejs/core";

import { bytes } from "../../../api/bytes";
import { plane } from "./plane";
import { type Series, WINDOWS } from "./series";

const SCHEME = "codetect";
/** By analysis; of how many stages that show it now. */
const known = new Map<string, { series: Series; stages: number }>();

export const imageId = (series: Series, n: number) => `${SCHEME}:${series.analysisId}:${n}`;

export function sliceOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(":") + 1));
}

export function know(series: Series): void {
  const stages = known.get(series.analysisId)?.stages ?? 0;
  known.set(series.analysisId, { series, stages: stages + 1 });
}

/** A stage has ended. Its images take no memory any more; of what Cornerstone has begun with, it still asks how it lies. */
export function forget(series: Series, begun: Promise<unknown>): void {
  const { analysisId, items } = series;
  const there = known.get(analysisId);
  if (!there) return;
  there.stages -= 1;
  if (there.stages > 0) return;
  for (const { n } of items) {
    const id = imageId(series, n);
    if (cache.getImageLoadObject(id)) cache.removeImageLoadObject(id);
  }
  const drop = () => {
    if (known.get(analysisId)?.stages === 0) known.delete(analysisId);
  };
  void begun.then(drop, drop);
}

const isShown = ({ analysisId }: Series) => (known.get(analysisId)?.stages ?? 0) > 0;

export function registerLoader(): void {
  imageLoader.registerImageLoader(SCHEME, (id) => {
    const abort = new AbortController();
    return { promise: load(id, abort.signal), cancelFn: () => abort.abort() };
  });
  metaData.addProvider(tell);
}

const underWay = new Map<string, Promise<void>>();

/** Have a slice in Cornerstone's cache; its own way there leaves a promise that fails without anybody's notice. */
export function fetchSlice(series: Series, n: number): Promise<void> {
  const id = imageId(series, n);
  if (cache.getImageLoadObject(id)) return Promise.resolve();
  const there = underWay.get(id);
  if (there) return there;
  const fetched = load(id).then((image) => {
    if (isShown(series) && !cache.getImageLoadObject(id)) cache.putImageSync(id, image);
  });
  const kept = fetched.finally(() => underWay.delete(id));
  underWay.set(id, kept);
  return kept;
}

async function load(id: string, signal?: AbortSignal): Promise<Types.IImage> {
  const { series, n } = find(id);
  const answer = await bytes(`/api/v1/analyses/${series.analysisId}/slices/${n}/pixels`, signal);
  const hu = new Int16Array(await answer.arrayBuffer());
  const { rows, columns } = series;
  if (hu.length !== rows * columns) throw new Error(`slice ${n} has ${hu.length} values`);
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    width: columns,
    height: rows,
    scalarData: hu,
    numberOfComponents: 1,
  }) as Types.IVoxelManager<number>;
  const [down, across] = series.spacing ?? [1, 1];
  return {
    imageId: id,
    ...extremes(hu),
    slope: 1,
    intercept: 0,
    windowCenter: WINDOWS.lung.level,
    windowWidth: WINDOWS.lung.width,
    voiLUTFunction: Enums.VOILUTFunctionType.LINEAR,
    getPixelData: () => hu,
    getCanvas: () => {
      throw new Error("no canvas of its own");
    },
    rows,
    columns,
    height: rows,
    width: columns,
    color: false,
    rgba: false,
    numberOfComponents: 1,
    columnPixelSpacing: across,
    rowPixelSpacing: down,
    invert: false,
    photometricInterpretation: "MONOCHROME2",
    sizeInBytes: hu.byteLength,
    dataType: "Int16Array",
    voxelManager,
  };
}

const analysisOf = (id: string) => id.split(":")[1] ?? "";

function find(id: string): { series: Series; n: number } {
  const there = known.get(analysisOf(id));
  if (!there) throw new Error(`${id} belongs to no known series`);
  return { series: there.series, n: sliceOf(id) };
}

function extremes(hu: Int16Array): { minPixelValue: number; maxPixelValue: number } {
  let [min, max] = [hu[0] ?? 0, hu[0] ?? 0];
  for (const value of hu) {
    if (value < min) min = value;
    else if (value > max) max = value;
  }
  return { minPixelValue: min, maxPixelValue: max };
}

function tell(kind: string, id: unknown): unknown {
  if (typeof id !== "string" || !id.startsWith(`${SCHEME}:`)) return undefined;
  const there = known.get(analysisOf(id));
  if (!there) return undefined;
  const [series, n] = [there.series, sliceOf(id)];
  const { MetadataModules } = Enums;
  if (kind === MetadataModules.GENERAL_SERIES) return { modality: "CT", seriesInstanceUID: series.analysisId };
  if (kind === MetadataModules.IMAGE_PLANE) return plane(series, n);
  if (kind === MetadataModules.IMAGE_PIXEL) {
    return {
      bitsAllocated: 16,
      bitsStored: 16,
      highBit: 15,
      samplesPerPixel: 1,
      pixelRepresentation: 1,
      photometricInterpretation: "MONOCHROME2",
    };
  }
  return undefined;
}
