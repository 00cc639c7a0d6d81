"""What a bundle's later life is compared with: how inputs and scores were spread on val (bundle.Reference)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
BINS = 10


def reference(data: str, images: Numbers, distances: Numbers, chances: Numbers) -> dict[str, Any]:
    """Images (n, 1, s, s) in 0..1, their distances (n,) and the label's probabilities (n,) -> the bundle's member."""
    measures = {
        "input_mean": images.mean((1, 2, 3)),
        "input_spread": images.std((1, 2, 3)),
        "distance": distances,
        "score:covid_19": chances,
    }
    return {"data": data, "n": len(images), "measures": {name: histogram(of) for name, of in measures.items()}}


def histogram(values: Numbers) -> dict[str, list[float]]:
    """Ten bins that hold about as many values each; fewer where values coincide."""
    edges = np.unique(np.round(np.quantile(values, np.arange(1, BINS) / BINS), 4))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": np.round(counts / len(values), 6).tolist()}
