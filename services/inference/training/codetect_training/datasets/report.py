"""What is in a data set, in words and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from codetect_training.datasets.alike import components
from codetect_training.datasets.dataset import Dataset
from codetect_training.datasets.splits import joined
from codetect_training.datasets.tables import PatientUnknown

NO_LABEL = "unlabelled"


def report(dataset: Dataset, distances: Sequence[int] = ()) -> str:
    """Sources, counts, patients or clusters, what was left out, terms; clusters at other `distances` when asked."""
    return "\n".join([*summary(dataset), *(line for distance in distances for line in clusters(dataset, distance))])


def summary(dataset: Dataset) -> Iterator[str]:
    """The report's lines but for other distances."""
    description, cached, sides = dataset.description, dataset.cached(dataset.side), dataset.sides
    yield f"{description.name}: {description.title}"
    if description.labels:
        yield "labels: " + ", ".join(f"{number} {label}" for number, label in enumerate(description.labels))
    for name, source in description.sources.items():
        units = [i for i, entry in enumerate(cached.entries) if entry.source == name]
        slices = sum(cached.entries[i].count for i in units)
        yield f"\n{name} ({source.kind}): {len(units)} units, {slices} slices in {'HU' if source.hu else 'grey'}"
        counts: Counter[tuple[str, str]] = Counter()
        for i in units:
            entry = cached.entries[i]
            counts[sides.splits[i] or "left out", entry.label or NO_LABEL] += entry.count
        for (split, label), count in sorted(counts.items()):
            yield f"  {split}: {count} {label}"
        yield "  patients: " + patients(dataset, name, units)
        for reason, count in cached.skipped.get(name, {}).items():
            yield f"  passed over, {reason}: {count}"
        yield f"  licence: {source.terms.licence}\n  use: {source.terms.use}\n  cite: {source.terms.cite}"
    yield ""
    for (name, side, other), count in sorted(sides.left_out.items()):
        yield f"left out of {side}: {count} units of {name}, whose patient or near-duplicate is in {other}"
    for (name, side, other), count in sorted(sides.kept_leaks.items()):
        yield f"kept in {side}: {count} units of {name}, whose patient or near-duplicate is in {other}"
    if sides.kept_leaks:
        yield f"kept, because {description.leaks.because}"
    if not sides.left_out and not sides.kept_leaks:
        yield "no patient and no cluster is on two sides"


def patients(dataset: Dataset, name: str, units: Sequence[int]) -> str:
    """How many people, as far as anybody knows."""
    entries, groups = dataset.cached(dataset.side).entries, dataset.sides.groups[list(units)]
    sizes = np.unique(groups, return_counts=True)[1]
    found = f"{len(sizes)} groups that stay together, the largest of {sizes.max()}, {(sizes == 1).sum()} alone"
    how = dataset.description.sources[name].patients
    if isinstance(how, PatientUnknown):
        return f"unknown, {how.because}; {found}"
    known = [entries[i].patient for i in units if entries[i].patient]
    return f"{len(set(known))} known, of {len(known)} units; {found}"


def clusters(dataset: Dataset, distance: int) -> Iterator[str]:
    """What another distance for near-duplicates would join, label by label."""
    cached = dataset.cached(dataset.side)
    changed = dataset.description.model_copy(update={"alike": distance})
    groups = components(len(cached.entries), joined(changed, cached.entries, cached.hashes))
    labels = {entry.label for entry in cached.entries}
    held = {int(group): set[str | None]() for group in groups}
    for group, entry in zip(groups, cached.entries, strict=True):
        held[int(group)].add(entry.label)
    sizes = np.bincount(groups)
    mixed = sum(len(found) > 1 for found in held.values()) if len(labels) > 1 else 0
    yield (
        f"at distance {distance}: {len(sizes)} groups, the largest of {sizes.max()}, {(sizes == 1).sum()} alone, "
        f"{mixed} with several labels"
    )
