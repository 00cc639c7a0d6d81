"""What a bundle scores on labelled images, through the service's own engine and without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import LoadedBundle
from codetect_inference.explain import probabilities

from codetect_training.asking import BATCH, ask
from codetect_training.data import Images, open_folder
from codetect_training.metrics import Floats, Labels, summary
from codetect_training.packing import open_given
from codetect_training.words import folder_words, label_number


@dataclass(frozen=True)
class Predictions:
    """What the bundle says to each image of one of its labels: labels, logits and probabilities (n,)."""

    labels: Labels
    logits: Floats
    probabilities: Floats


def evaluate(bundle: Path, images: Path, label: str | None = None) -> dict[str, Any]:
    """The figures of `bundle` on a folder with one sub-folder for the label and one for its absence."""
    loaded = open_given(bundle)
    number = label_number(loaded.manifest, label)
    predictions = predict(loaded, open_folder(images, folder_words(loaded.manifest, number)), number)
    return summary(predictions.labels, predictions.probabilities, loaded.manifest.labels[number].threshold)


def predict(bundle: LoadedBundle, images: Images, number: int = 0) -> Predictions:
    """Run every image once, for the label at that place in the bundle."""
    logits = ask(bundle, images.batches(bundle.manifest.preprocessing.side, BATCH)).logits
    chances = probabilities(bundle.manifest, logits)
    return Predictions(images.labels, logits[:, number].astype(np.float64), chances[:, number].astype(np.float64))
