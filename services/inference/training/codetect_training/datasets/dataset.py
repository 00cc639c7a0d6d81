"""A data set in use: its parts by split, as arrays that training takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from codetect_inference.preprocess import window
from numpy.typing import NDArray

from codetect_training.data import data_root
from codetect_training.datasets.cache import CACHE, Cached, open_cache
from codetect_training.datasets.description import Description, load_description
from codetect_training.datasets.sampler import Sampler, make_sampler
from codetect_training.datasets.splits import Sides, make_sides
from codetect_training.datasets.strict import Split

SIDE = 224
LEVEL_HU, WIDTH_HU = -600.0, 1500.0  # the bundle's window; training may draw another
UNLABELLED = -1


@dataclass(frozen=True)
class Part:
    """The slices of one split, in the description's order.

    `rows` (n,) in the cache; `labels` (n,) int64, -1 without one; `sources` (n,) numbers in the description's order;
    `groups` (n,): equal for slices that may not be parted; `keys`: each slice's unit.
    """

    dataset: Dataset
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    sources: NDArray[np.int64]
    groups: NDArray[np.int64]
    keys: tuple[str, ...]

    def load(self, side: int) -> NDArray[np.float32]:
        """All of it as (n, 1, side, side) float32 in 0..1."""
        return self.images(np.arange(len(self.rows)), side)

    def images(
        self, which: NDArray[np.int64], side: int, level_hu: float = LEVEL_HU, width_hu: float = WIDTH_HU
    ) -> NDArray[np.float32]:
        """Some of it, by place in this part; slices in HU through that window, grey images as they are."""
        stored = self.dataset.cached(side).pixels[self.rows[which]]
        hu = self.dataset.in_hu[self.sources[which]]
        found = stored.astype(np.float32) / np.float32(255)
        if hu.any():
            found[hu] = window(stored[hu], level_hu, width_hu)
        return found[:, None]

    def of(self, source: str) -> NDArray[np.int64]:
        """The places of a source's slices in this part."""
        return np.flatnonzero(self.sources == list(self.dataset.description.sources).index(source))

    def unlabelled(self) -> Part:
        """The same as if nobody knew a label."""
        return replace(self, labels=np.full_like(self.labels, UNLABELLED))

    def sampler(
        self, batch: int, seed: int, labelled: bool = True, turns_of: Mapping[str, int] | None = None
    ) -> Sampler:
        """Batches balanced over sources and classes; `labelled` leaves out slices without a label.

        `turns_of`: how often the sampler takes a source, where it isn't as the description says.
        """
        sources, other = self.dataset.description.sources, turns_of or {}
        if unknown := other.keys() - sources.keys():
            raise SystemExit(f"there are no sources {', '.join(sorted(unknown))}; there are {', '.join(sources)}")
        turns = [other.get(name, source.turns) for name, source in sources.items()]
        return make_sampler(self.labels, self.sources, turns, batch, seed, labelled)


@dataclass
class Dataset:
    """A description, its data and its cache; caches of further sides are made when they are asked for."""

    description: Description
    root: Path
    cache: Path
    side: int
    sides: Sides = field(init=False)
    caches: dict[int, Cached] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        found = self.cached(self.side)
        self.sides = make_sides(self.description, found.entries, found.hashes)

    @property
    def in_hu(self) -> NDArray[np.bool_]:
        """Whether each source's slices are in HU."""
        return np.array([source.hu for source in self.description.sources.values()])

    def cached(self, side: int) -> Cached:
        """The decoded slices at one side."""
        if side not in self.caches:
            self.caches[side] = open_cache(self.description, self.root, side, self.cache)
        return self.caches[side]

    def part(self, split: Split) -> Part:
        """What belongs to a split."""
        entries, numbers = self.cached(self.side).entries, {name: i for i, name in enumerate(self.description.sources)}
        units = [i for i, side in enumerate(self.sides.splits) if side == split]
        if not units:
            raise SystemExit(f"{self.description.name} has no {split} split: give some source one")
        chosen, counts = [entries[i] for i in units], [entries[i].count for i in units]

        def spread(values: Sequence[int]) -> NDArray[np.int64]:
            return np.repeat(np.array(values, np.int64), counts)

        labels = [UNLABELLED if one.label is None else self.description.labels.index(one.label) for one in chosen]
        return Part(
            self,
            np.concatenate([np.arange(one.first, one.first + one.count) for one in chosen]),
            spread(labels),
            spread([numbers[one.source] for one in chosen]),
            spread([int(self.sides.groups[i]) for i in units]),
            tuple(one.key for one in chosen for _ in range(one.count)),
        )


def open_dataset(which: str | Path, root: Path | None = None, cache: Path = CACHE, side: int = SIDE) -> Dataset:
    """Open a data set by the name or file of its description; decodes it when the cache isn't current."""
    return Dataset(load_description(which), root or data_root(), cache, side)
