"""Labelled CT images in folders (covid-ct: train, val; one sub-folder per class), decoded once and kept in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codetect_training.grey import SUFFIXES, open_grey
from codetect_training.words import Words

NAMED = 3  # of what is passed over


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
    grey = open_grey(path).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(grey, np.float32)[None] / np.float32(255)


def open_folder(folder: Path, words: Words) -> Images:
    """The images below `folder`, by sub-folders that `words` tell apart; one class alone is worth stopping for.

    What is passed over, besides hidden files, is told on stderr.
    """
    if not folder.is_dir():
        raise SystemExit(f"{folder} isn't a folder: give one with sub-folders {words.name} and {words.absent}")
    found: list[tuple[Path, int]] = []
    loose: list[Path] = []
    others: list[Path] = []
    for sub in entries(folder):
        label = words.of(sub.name) if sub.is_dir() else None
        if label is None:
            loose.append(sub)
            continue
        for path in files_below(sub):
            if {words.of(part) for part in path.relative_to(folder).parts[:-1]} >= {0, 1}:
                raise SystemExit(f"{path} lies below both {words.name} and {words.absent}: which of them is it?")
            if path.suffix.lower() in SUFFIXES and path.is_file():
                found.append((path, label))
            else:
                others.append(path)
    tell(loose, f"not a sub-folder {words.name} or {words.absent}")
    tell(others, f"not an image file ({', '.join(SUFFIXES)})")
    if {label for _, label in found} != {0, 1}:
        raise SystemExit(
            f"{folder} needs images ({', '.join(SUFFIXES)}) in sub-folders {words.name} and {words.absent}"
        )
    return Images([path for path, _ in found], np.array([label for _, label in found], np.int64))


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted, without what is hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SystemExit(f"{folder} can't be read ({error.strerror})") from None


def files_below(folder: Path) -> Iterator[Path]:
    """Everything in a folder and its sub-folders but these; links to folders, which may lead in circles, are kept."""
    for path in entries(folder):
        if path.is_dir() and not path.is_symlink():
            yield from files_below(path)
        else:
            yield path


def tell(passed_over: list[Path], why: str) -> None:
    """Say on stderr what isn't read; the first few by name."""
    if passed_over:
        names = ", ".join(map(str, passed_over[:NAMED])) + (", ..." if len(passed_over) > NAMED else "")
        print(f"{len(passed_over)} passed over, {why}: {names}", file=sys.stderr)
