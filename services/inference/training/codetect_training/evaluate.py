"""What a bundle scores on labelled images, through the service's own engine and without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import LoadedBundle, open_folder
from codetect_inference.engine import Engine
from codetect_inference.explain import probabilities

from codetect_training.data import Images
from codetect_training.data import open_folder as open_images
from codetect_training.metrics import Floats, Labels, summary

BATCH = 8


@dataclass(frozen=True)
class Predictions:
    """What the bundle says to each image: labels (n,), logits and probabilities (n,) of its first label."""

    labels: Labels
    logits: Floats
    probabilities: Floats


def evaluate(bundle: Path, images: Path) -> dict[str, Any]:
    """The figures of `bundle` on a folder with sub-folders covid and noncovid."""
    loaded = open_folder(bundle)
    predictions = predict(loaded, open_images(images))
    return summary(predictions.labels, predictions.probabilities, loaded.manifest.labels[0].threshold)


def predict(bundle: LoadedBundle, images: Images) -> Predictions:
    """Run every image once."""
    engine = Engine(bundle)
    try:
        logits = np.concatenate([part.logits for part in engine.map(images.batches(engine.side, BATCH))])
    finally:
        engine.close()
    chances = probabilities(bundle.manifest, logits)
    return Predictions(images.labels, logits[:, 0].astype(np.float64), chances[:, 0].astype(np.float64))
