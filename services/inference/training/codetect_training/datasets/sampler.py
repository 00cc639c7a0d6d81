"""Batches balanced over sources and classes; each hangs on (seed, epoch, step) alone, so a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sampler:
    """Sources take turns (`order`, one number per turn), and so do the classes within each source.

    `strata`: for each source, for each of its classes, places in the part. Each stratum is gone through in a new random
    order each epoch; a small one several times, a large one in part.
    """

    strata: tuple[tuple[Rows, ...], ...]
    order: tuple[int, ...]
    batch: int
    seed: int

    @property
    def steps(self) -> int:
        """Steps of one epoch: as many slices as there are, though not each once."""
        return sum(len(rows) for classes in self.strata for rows in classes) // self.batch

    def rows(self, epoch: int, step: int) -> Rows:
        """The places in the part that make this batch, (batch,)."""
        chosen = [self.slot(epoch, step * self.batch + at) for at in range(self.batch)]
        mixed = np.random.default_rng([self.seed, epoch, step]).permutation(self.batch)
        return np.array(chosen, np.int64)[mixed]

    def slot(self, epoch: int, at: int) -> int:
        """The slice at one place of an epoch's endless row of slices."""
        turn, place = divmod(at, len(self.order))
        source = self.order[place]
        visit = turn * self.order.count(source) + self.order[:place].count(source)
        classes = self.strata[source]
        position, which = divmod(visit, len(classes))
        rows = classes[which]
        lap, at_row = divmod(position, len(rows))
        return int(rows[drawn(len(rows), self.seed, epoch, source, which, lap)[at_row]])


@lru_cache(maxsize=64)
def drawn(count: int, *seed: int) -> Rows:
    """A random order, by seed alone."""
    return np.random.default_rng(seed).permutation(count)


def make_sampler(
    labels: Rows, sources: Rows, turns: Sequence[int], batch: int, seed: int, labelled: bool = True
) -> Sampler:
    """A sampler over slices with these labels (-1: none, left out when `labelled`) and sources."""
    strata, weights = [], []
    for source, weight in enumerate(turns):
        inside = sources == source
        found = [np.flatnonzero(inside & (labels == label)) for label in np.unique(labels[inside])]
        found = [rows for rows in found if not labelled or labels[rows[0]] >= 0]
        if found:
            strata.append(tuple(found))
            weights.append(weight)
    if not strata:
        raise SystemExit("there are no labelled slices to draw batches from: choose another split or data set")
    places = sorted((((i + 0.5) / weight, source) for source, weight in enumerate(weights) for i in range(weight)))
    return Sampler(tuple(strata), tuple(source for _, source in places), batch, seed)
