"""What a bundle says to images, through the service's own engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from codetect_inference.bundle import LoadedBundle
from codetect_inference.engine import Engine, Outputs, Wanted
from numpy.typing import NDArray

BATCH = 8


def ask(bundle: LoadedBundle, batches: Iterable[NDArray[np.float32]], provider: Wanted = "auto") -> Outputs:
    """The answers to batches of images (n, 1, side, side) float32, together and in order."""
    return Outputs.together(Engine(bundle, provider).map(batches))


def batched(images: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Images as batches."""
    for at in range(0, len(images), BATCH):
        yield images[at : at + BATCH]
