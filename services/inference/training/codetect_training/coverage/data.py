"""Slices and how much of the body's section lung fills in them, measured by the service's own masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from codetect_inference.bundle import Preprocessing
from codetect_inference.preprocess import (
    HU,
    SHOWN_SHARE,
    SMALL_SIDE,
    Box,
    body_box,
    body_mask,
    lung_mask,
    plan_series,
    prepare_slice,
    shrink,
)
from numpy.typing import NDArray

from codetect_training.datasets.dataset import Dataset
from codetect_training.datasets.strict import Split
from codetect_training.datasets.volumes import series_in_hu

IMAGES, SERIES = "luna16-slices", "lidc-idri-0001"
NATIVE = 256  # pixels of luna16's images, every other one of the scanner's
# Two labels of one measure: lung fills at least this share of the body's section.
LABELS = {"lung_fifth": 1 / 5, "lung_third": 1 / 3}
HOW = Preprocessing(side=128, level_hu=-300, width_hu=1400, margin=0.05)


@dataclass(frozen=True)
class Slices:
    """Slices that show lung as the model takes them: images (n, 1, side, side) in 0..1, shares (n,) of lung."""

    images: NDArray[np.float32]
    shares: NDArray[np.float64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels (n, labels): whether lung fills as much as each label says."""
        return (self.shares[:, None] >= np.array(list(LABELS.values()))).astype(np.int64)


def from_images(dataset: Dataset, split: Split) -> Slices:
    """The images of a split, each a series of one slice; those without lung are left out, as the service does."""
    part = dataset.part(split)
    found = []
    for grey in part.images(part.of(IMAGES), NATIVE):
        hu = to_hu(grey[0])
        share, box = measure(hu)
        if share >= SHOWN_SHARE:
            found.append((prepare_slice(hu, box, HOW), share))
    return together(found)


def from_series(dataset: Dataset) -> Slices:
    """The slices that show lung of the series in HU, cropped together as the service crops a study."""
    hu = series_in_hu(dataset.description.sources[SERIES], dataset.root)
    plan = plan_series(len(hu), hu.__getitem__, HOW.margin)
    return together([(prepare_slice(hu[n], plan.box, HOW), measure(hu[n])[0]) for n in plan.slices])


def to_hu(grey: NDArray[np.float32]) -> HU:
    """LUNA16's images back to HU, (rows, columns): they were made with the window from -1000 to 400.

    Found by comparing both images of LIDC-IDRI-0001 with its DICOM slices: correlation 0.9996.
    """
    return np.asarray(np.rint(grey * 1400 - 1000), np.int16)


def measure(hu: HU) -> tuple[float, Box]:
    """Share of the body's section that is lung in one slice (rows, columns), and the crop around the body."""
    step = max(1, max(hu.shape) // SMALL_SIDE)
    small = shrink(hu, step)[None]
    body = body_mask(small)
    if not body.any():
        return 0.0, Box(0, hu.shape[0], 0, hu.shape[1])
    share = float(lung_mask(small, body).sum() / body.sum())
    return share, body_box(body, step, hu.shape, HOW.margin)


def together(found: Sequence[tuple[NDArray[np.float32], float]]) -> Slices:
    """As arrays."""
    return Slices(np.stack([image for image, _ in found]), np.array([share for _, share in found]))
