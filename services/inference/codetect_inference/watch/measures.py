"""Counting slices into a reference's bins, and how far two spreads lie apart: pure."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from codetect_inference.bundle import Bundle, Histogram
from codetect_inference.explain import UNLIKE_FROM, Explanation, Maps, probabilities

Tallies = Mapping[str, Sequence[int]]
UNLIKE = "out_of_distribution"  # a study each: [like the training data, unlike it]
MODERATE, MAJOR = 0.1, 0.25  # usual bands of the PSI
STUDIES_NEEDED = 50
"""Slices of a study are alike: so many studies keep chance alone below the upper band (docs/adr/0095)."""


class Band(StrEnum):
    """How far a measure went from its reference."""

    TOO_FEW = "too_few"
    STABLE = "stable"
    MODERATE = "moderate"
    MAJOR = "major"


def tallies(bundle: Bundle, maps: Maps, explanation: Explanation) -> dict[str, list[int]]:
    """One study's slices in the bins of each measure of the bundle's reference, by measure.

    Empty for bundles without one; `out_of_distribution` counts the study itself, of models that can tell.
    """
    found: dict[str, list[int]] = {}
    if explanation.unlikeness is not None:
        unlike = explanation.unlikeness >= UNLIKE_FROM
        found[UNLIKE] = [int(not unlike), int(unlike)]
    if bundle.reference is None:
        return found
    values: dict[str, NDArray[np.float32] | None] = {"distance": maps.distances}
    if maps.inputs is not None:
        values |= {"input_mean": maps.inputs[:, 0], "input_spread": maps.inputs[:, 1]}
    chances = probabilities(bundle, maps.logits)
    values |= {f"score:{label.name}": chances[:, column] for column, label in enumerate(bundle.labels)}
    for name, histogram in bundle.reference.measures.items():
        if (measured := values.get(name)) is not None:
            found[name] = bins(measured, histogram)
    return found


def bins(values: NDArray[np.float32], histogram: Histogram) -> list[int]:
    """How many values lie in each bin; one that equals an edge lies above it."""
    places = np.searchsorted(np.array(histogram.edges), values.astype(np.float64), side="right")
    return [int(n) for n in np.bincount(places, minlength=len(histogram.shares))]


def psi(reference: Histogram, reference_n: int, counts: Sequence[int]) -> float:
    """Population stability index of counts against a reference's shares; 0: the same.

    Both are smoothed by half a count a bin, as an empty bin would be infinitely far.
    """
    expected = np.array(reference.shares) * reference_n + 0.5
    seen = np.array(counts, np.float64) + 0.5
    expected, seen = expected / expected.sum(), seen / seen.sum()
    return float(((seen - expected) * np.log(seen / expected)).sum())


def band_of(value: float, studies: int) -> Band:
    """Where a PSI lies; of too few studies nothing is said."""
    if studies < STUDIES_NEEDED:
        return Band.TOO_FEW
    return Band.STABLE if value < MODERATE else Band.MODERATE if value < MAJOR else Band.MAJOR
