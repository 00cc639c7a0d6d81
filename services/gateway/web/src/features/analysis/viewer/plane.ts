/** How a slice lies in the patient, as Cornerstone wants to be told. */
import type { Types } from "@cornerstonejs/core";

import type { Series } from "./series";

export function plane({ analysisId, items, orientation, spacing, rows, columns }: Series, n: number): Types.ImagePlaneModule {
  const [down, across] = spacing ?? [1, 1];
  return {
    frameOfReferenceUID: analysisId,
    rows,
    columns,
    imagePositionPatient: [...(items[n]?.position_mm ?? [0, 0, n])],
    imageOrientationPatient: [...orientation],
    rowCosines: [orientation[0], orientation[1], orientation[2]],
    columnCosines: [orientation[3], orientation[4], orientation[5]],
    rowPixelSpacing: down,
    columnPixelSpacing: across,
    pixelSpacing: [down, across],
    usingDefaultValues: !spacing, // then lengths are pixels
  };
}
