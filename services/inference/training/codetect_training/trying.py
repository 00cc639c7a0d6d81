"""A finished bundle before what it should not fall for: images that aren't axial chest CT, studies without disease."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from codetect_inference.bundle import Bundle
from codetect_inference.engine import Outputs
from codetect_inference.explain import probabilities, study_score
from numpy.typing import NDArray
from PIL import Image

from codetect_training.metrics import auc

Floats = NDArray[np.float32]
OTHERS = {
    "an MR slice": "dicom/other/MR_Implicit_Little.dcm",
    "an ultrasound image": "dicom/other/US_Explicit_Big_RGB.dcm",
    "a head CT's localizer": "dicom/other/ct_head_localizer.dcm",
}


def alien(
    bundle: Bundle, usual: Floats, others: Mapping[str, Floats], answer: Callable[[Floats], Outputs], root: Path
) -> list[dict[str, Any]]:
    """How the out-of-distribution score meets what it should flag: share flagged, and the AUC against `usual` slices.

    `usual` (n, 1, s, s) are slices of val, of which bent ones are made; `others` chest slices of elsewhere.
    """
    assert bundle.outliers is not None
    some = usual
    random = np.random.default_rng(2020)
    tried: dict[str, Floats] = {
        **others,
        "chest slices turned by a quarter": np.rot90(some, axes=(2, 3)),
        "chest slices upside down": some[:, :, ::-1],
        "chest slices in negative": 1 - some,
        "noise": random.random(some.shape, np.float32),
        "even grey": np.broadcast_to(random.random((len(some), 1, 1, 1), np.float32), some.shape),
        **{what: image_of(root / path, usual.shape[-1]) for what, path in OTHERS.items() if (root / path).exists()},
    }
    known = answer(usual).distances
    assert known is not None
    found = []
    for what, images in tried.items():
        distances = answer(np.ascontiguousarray(images, np.float32)).distances
        assert distances is not None
        labels = np.repeat([0, 1], [len(known), len(distances)])
        found.append(
            {
                "what": what,
                "n": len(images),
                "flagged": round(float((distances >= bundle.outliers.threshold).mean()), 3),
                "auc": round(auc(labels, np.concatenate([known, distances]).astype(np.float64)), 3),
            }
        )
    return found


def image_of(path: Path, side: int) -> Floats:
    """Any DICOM image as one grey input (1, 1, side, side), its darkest 0 and its brightest 1."""
    pixels = np.asarray(pydicom.dcmread(path, force=True).pixel_array, np.float32)
    grey = pixels.mean(-1) if pixels.ndim == 3 else pixels
    scaled = (grey - grey.min()) / max(float(np.ptp(grey)), 1e-6)
    square = Image.fromarray(scaled.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(square, np.float32)[None, None]


def called_positive(bundle: Bundle, said: Outputs) -> float:
    """Share of slices whose first label is called positive."""
    return float((probabilities(bundle, said.logits)[:, 0] >= bundle.labels[0].threshold).mean())


def as_study(bundle: Bundle, said: Outputs) -> dict[str, Any]:
    """What the first label says to slices taken as one study."""
    score = study_score(probabilities(bundle, said.logits)[:, 0], bundle.pooling)
    return {"probability": round(score, 3), "positive": score >= bundle.labels[0].positive_from}
