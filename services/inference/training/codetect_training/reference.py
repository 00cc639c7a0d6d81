"""What a bundle's later life is compared with: how inputs and scores were spread on val (bundle.Reference)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
BINS = 10
END = 0.001


def reference(
    data: str, images: Numbers, chances: Mapping[str, Numbers], distances: Numbers | None = None
) -> dict[str, Any]:
    """Images (n, 1, s, s) in 0..1, each label's probabilities (n,), perhaps distances (n,) -> the bundle's member."""
    measures = {"input_mean": images.mean((1, 2, 3)), "input_spread": images.std((1, 2, 3))}
    if distances is not None:
        measures["distance"] = distances
    scores = {f"score:{label}": histogram(of, gathered=True) for label, of in chances.items()}
    return {
        "data": data,
        "n": len(images),
        "measures": {name: histogram(of) for name, of in measures.items()} | scores,
    }


def histogram(values: Numbers, gathered: bool = False) -> dict[str, list[float]]:
    """Ten bins that hold about as many values each; fewer where values coincide.

    `gathered`: at 0 and 1, as sure scores are: one bin for each end.
    """
    edges = np.unique(np.round(np.quantile(values, np.arange(1, BINS) / BINS), 4))
    if gathered:
        edges = edges[(edges > END) & (edges < 1 - END)]
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": np.round(counts / len(values), 6).tolist()}
