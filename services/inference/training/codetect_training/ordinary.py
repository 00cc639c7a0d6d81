"""Chest CT as the worker prepares it: LUNA16's slices, put back into HU (500 patients before 2011); a whole series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from codetect_inference.bundle import Preprocessing
from codetect_inference.preprocess import plan_series, prepare_batch, prepare_slice
from numpy.typing import NDArray

from codetect_training.coverage.data import IMAGES, NATIVE, SERIES, to_hu
from codetect_training.datasets.dataset import Dataset, Part
from codetect_training.datasets.volumes import series_in_hu


@dataclass(frozen=True)
class Ordinary:
    """Slices that show lung: images (n, 1, side, side) in 0..1, and whose each is, (n,)."""

    name: str
    images: NDArray[np.float32]
    patients: NDArray[np.int64]


def ordinary(part: Part, how: Preprocessing) -> Ordinary:
    """Those of a part, each a series of one slice."""
    rows = part.of(IMAGES)
    images, patients = [], []
    for grey, patient in zip(part.images(rows, NATIVE), part.groups[rows], strict=True):
        hu = to_hu(grey[0])
        plan = plan_series(1, lambda _, hu=hu: hu, how.margin)  # type: ignore[misc]
        if plan.shows_lung and not plan.little_lung:
            images.append(prepare_slice(hu, plan.box, how))
            patients.append(patient)
    name = f"{len(images)} slices of LUNA16 that show lung, prepared as the worker does"
    return Ordinary(name, np.stack(images), np.array(patients))


def whole_series(dataset: Dataset, how: Preprocessing) -> NDArray[np.float32]:
    """The slices of LIDC-IDRI-0001 that show lung, cropped together: (n, 1, side, side) in 0..1."""
    hu = series_in_hu(dataset.description.sources[SERIES], dataset.root)
    plan = plan_series(len(hu), hu.__getitem__, how.margin)
    return prepare_batch([hu[n] for n in plan.slices], plan.box, how)
