"""What can be guessed without looking at the lungs: from an image's size, shape, edges and compression alone.

Public images of the two classes come from different hands: a model that doesn't beat this may not have seen disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codetect_training.grey import open_grey
from codetect_training.metrics import Floats, Labels
from codetect_training.regression import logits

EDGE = 0.06  # of the image's side, what counts as its edge


def hand(path: Path) -> list[float]:
    """What an image tells about who made it: size, shape, bytes per pixel, grey at corners and edges, spread."""
    grey = np.asarray(open_grey(path), np.float32) / 255
    rows, columns = grey.shape
    edge = max(2, round(EDGE * min(rows, columns)))
    corners = [grey[:edge, :edge], grey[:edge, -edge:], grey[-edge:, :edge], grey[-edge:, -edge:]]
    sides = [grey[:edge], grey[-edge:], grey[:, :edge].T, grey[:, -edge:].T]
    facts = [np.log(rows), np.log(columns), np.log(rows / columns), np.log(path.stat().st_size / grey.size)]
    return [*map(float, facts), *(float(np.mean(one)) for one in (*corners, *sides)), float(grey.std())]


def hands(paths: Sequence[Path]) -> Floats:
    """The same of many, (n, 13)."""
    return np.array([hand(path) for path in paths])


def guess(known: Floats, labels: Labels, asked: Floats, penalty: float = 1.0) -> Floats:
    """Logistic regression on standardised facts and their squares: fitted on `known`, scores (n,) of `asked`."""
    mean, spread = known.mean(0), known.std(0) + 1e-9

    def widened(facts: Floats) -> Floats:
        scaled = np.clip((facts - mean) / spread, -4, 4)
        return np.hstack([scaled, scaled**2])

    return logits(widened(known), labels, widened(asked), penalty)
