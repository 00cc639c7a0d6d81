"""Logistic regression, where something small is guessed from facts or features and nothing is shipped."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from codetect_training.metrics import Floats, Labels


def logits(known: Floats, labels: Labels, asked: Floats, penalty: float) -> Floats:
    """Logits (m,) for `asked` (m, k), fitted on `known` (n, k) with labels (n,) of 0 and 1; the squares of all weights
    but the constant's are penalised.
    """
    inputs = _with_constant(known)

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = inputs @ weights
        value = np.sum(np.logaddexp(0, scores) - labels * scores) + penalty / 2 * np.sum(weights[1:] ** 2)
        slope = inputs.T @ (1 / (1 + np.exp(-scores)) - labels)
        slope[1:] += penalty * weights[1:]
        return float(value), slope

    weights = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
    return np.asarray(_with_constant(asked) @ weights, np.float64)


def _with_constant(facts: Floats) -> Floats:
    return np.hstack([np.ones((len(facts), 1)), facts])
