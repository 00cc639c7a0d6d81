"""Labelled CT images in folders (covid-ct: train, val; one sub-folder per class), decoded once and kept in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codetect_training.words import Words

SUFFIXES = {".jpg", ".jpeg", ".png"}


def data_root() -> Path:
    """Where the research data lies; it is licensed for research here and never part of the repository."""
    return Path(os.environ.get("CODETECT_DATA") or Path(__file__).parents[5] / "shared" / "data")


@dataclass(frozen=True)
class Images:
    """Images of one folder: sorted paths, labels (n,) int64."""

    paths: list[Path]
    labels: NDArray[np.int64]

    def load(self, side: int) -> NDArray[np.float32]:
        """All images as (n, 1, side, side) float32 in 0..1."""
        return np.stack([read_image(path, side) for path in self.paths])

    def batches(self, side: int, count: int) -> Iterator[NDArray[np.float32]]:
        """The same, `count` at a time."""
        for at in range(0, len(self.paths), count):
            yield np.stack([read_image(path, side) for path in self.paths[at : at + count]])


def read_image(path: Path, side: int) -> NDArray[np.float32]:
    """One image as (1, side, side) float32 in 0..1, squeezed to a square as the service's slices are."""
    with Image.open(path) as image:
        grey = image.convert("L").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.float32)[None] / np.float32(255)


def open_folder(folder: Path, words: Words) -> Images:
    """The images below `folder`, by sub-folders that `words` tell apart; one class alone is worth stopping for."""
    found = [
        (path, label)
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and (label := words.of(sub.name)) is not None
        for path in sorted(sub.iterdir())
        if path.suffix.lower() in SUFFIXES
    ]
    if {label for _, label in found} != {0, 1}:
        raise SystemExit(f"{folder} needs images in sub-folders {words.name} and {words.absent}")
    return Images([path for path, _ in found], np.array([label for _, label in found], np.int64))
