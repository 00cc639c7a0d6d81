"""Figures of a binary classifier, in NumPy alone so that a bundle can be evaluated without PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def auc(labels: Labels, scores: Floats) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney), ties counted half."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    ranks = rankdata(scores)[labels == 1].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def auc_interval(labels: Labels, scores: Floats, rounds: int = 2000, seed: int = 7) -> tuple[float, float]:
    """95 % interval of the AUC by bootstrap within each class."""
    return interval(labels, lambda rows: auc(labels[rows], scores[rows]), rounds, seed)


def auc_gain_interval(
    labels: Labels, before: Floats, after: Floats, rounds: int = 2000, seed: int = 7
) -> tuple[float, float]:
    """The same of a difference of AUCs on the same images, which vary together."""
    return interval(labels, lambda rows: auc(labels[rows], after[rows]) - auc(labels[rows], before[rows]), rounds, seed)


def interval(labels: Labels, of: Callable[[Labels], float], rounds: int, seed: int) -> tuple[float, float]:
    """95 % interval of what `of` says to drawn places in `labels`, as many of each class as there are."""
    random = np.random.default_rng(seed)
    groups = [np.flatnonzero(labels == value) for value in (0, 1)]
    draws = [of(np.concatenate([random.choice(group, len(group)) for group in groups])) for _ in range(rounds)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def calibration_error(labels: Labels, probabilities: Floats, bins: int = 10) -> float:
    """Expected calibration error over equally wide bins of the positive class's probability."""
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [
        abs(labels[bin_of == b].mean() - probabilities[bin_of == b].mean()) * (bin_of == b).mean()
        for b in np.unique(bin_of)
    ]
    return float(sum(gaps))


def fit_temperature(labels: Labels, logits: Floats) -> float:
    """Temperature that makes the log-likelihood of `labels` greatest (Guo et al. 2017)."""

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, scaled) - labels * scaled))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def fit_logistic(labels: Labels, logits: Floats) -> tuple[float, float]:
    """Temperature t and lift c for which (logits + c) / t makes the log-likelihood of `labels` greatest (Platt 1999).

    A temperature alone can't mend a model that says too little, or too much, everywhere.
    """

    def loss(tried: Floats) -> float:
        scaled = logits * np.exp(-tried[0]) + tried[1]
        return float(np.mean(np.logaddexp(0, scaled) - labels * scaled))

    log_temperature, offset = minimize(loss, np.zeros(2), method="Nelder-Mead").x
    temperature = float(np.exp(log_temperature))
    return temperature, float(offset) * temperature


def youden_threshold(labels: Labels, probabilities: Floats) -> float:
    """Threshold with the greatest sensitivity + specificity; of a tie, the one nearest one half."""
    levels = np.unique(probabilities)
    middles = (levels[1:] + levels[:-1]) / 2
    gains = [(probabilities[labels == 1] >= t).mean() + (probabilities[labels == 0] < t).mean() for t in middles]
    best = middles[np.isclose(gains, np.max(gains))]
    return float(best[np.abs(best - 0.5).argmin()])


def operating_point(labels: Labels, probabilities: Floats, sensitivity: float) -> tuple[float, float, float]:
    """The highest threshold that reaches a sensitivity: (sensitivity, specificity, threshold)."""
    highest = np.sort(probabilities[labels == 1])[::-1]
    needed = int(np.ceil(sensitivity * len(highest)))
    lower = probabilities[probabilities < highest[needed - 1]]
    threshold = float((highest[needed - 1] + lower.max()) / 2) if len(lower) else float(highest[needed - 1] / 2)
    reached = float((probabilities[labels == 1] >= threshold).mean())
    return reached, float((probabilities[labels == 0] < threshold).mean()), threshold


def summary(labels: Labels, probabilities: Floats, threshold: float) -> dict[str, object]:
    """The figures a model card quotes, at `threshold`."""
    called = probabilities >= threshold
    positive, negative = labels == 1, labels == 0
    hits = int((called & positive).sum())
    low, high = auc_interval(labels, probabilities)
    return {
        "n": len(labels),
        "auc": round(auc(labels, probabilities), 4),
        "auc_ci95": [round(low, 4), round(high, 4)],
        "accuracy": round(float((called == positive).mean()), 4),
        "f1": round(2 * hits / max(1, int(called.sum() + positive.sum())), 4),
        "sensitivity": round(hits / max(1, int(positive.sum())), 4),
        "specificity": round(float((~called & negative).sum() / max(1, int(negative.sum()))), 4),
        "ece": round(calibration_error(labels, probabilities), 4),
    }


def probability(logits: Floats, temperature: float) -> Floats:
    """Calibrated probability of the positive class."""
    return np.asarray(expit(logits / temperature), np.float64)
