"""Studies made up of single slices, while there are no labelled studies: how high scores run where no disease is.

A study's score is that of its highest slices, which even without disease lie far above a usual slice; and slices of a
patient are alike, so that they rise together. Both are simulated: a study's slices are drawn from those there are by
ranks that scatter around a rank of the study's own, as much as two slices of one patient do (a Gaussian copula).
"""

from __future__ import annotations

import numpy as np
from codetect_inference.bundle import Pooling
from codetect_inference.explain import study_score
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

Numbers = NDArray[np.float64]
STUDIES = 4000
SLICES = (30, 120)  # with lung, in a study
SEED = 2020


def likeness(values: Numbers, patients: NDArray[np.int64]) -> float:
    """Correlation of two slices of one patient, in ranks; `values` and `patients` (n,)."""
    ranks = ndtri((rankdata(values) - 0.5) / len(values))
    pairs = [rows[:2] for one in np.unique(patients) if len(rows := np.flatnonzero(patients == one)) > 1]
    first, second = ranks[np.array(pairs)].T
    both = np.concatenate([first, second]), np.concatenate([second, first])
    return float(np.corrcoef(*both)[0, 1])


def study_scores(chances: Numbers, alike: float, pooling: Pooling) -> Numbers:
    """Scores (STUDIES,) of studies whose slices have probabilities as `chances` (n,) and are that much alike."""
    random = np.random.default_rng(SEED)
    found = []
    for count in random.integers(*SLICES, STUDIES):
        own, others = random.standard_normal(), random.standard_normal(count)
        drawn = np.quantile(chances, ndtr(np.sqrt(alike) * own + np.sqrt(1 - alike) * others))
        found.append(study_score(drawn.astype(np.float32), pooling))
    return np.array(found)
