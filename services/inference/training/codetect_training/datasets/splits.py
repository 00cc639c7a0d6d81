"""Who is on which side: whole patients or clusters of near-duplicates at a time, and nobody on two."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from codetect_training.datasets.alike import Hashes, Pairs, components, near_pairs, neighbour_pairs
from codetect_training.datasets.description import Description
from codetect_training.datasets.sources import Shares
from codetect_training.datasets.strict import RANK, Split
from codetect_training.datasets.tables import PatientUnknown


@dataclass(frozen=True)
class Entry:
    """A unit as splits see it; `patient` is a digest, `first` and `count` its slices' rows in the cache."""

    source: str
    key: str
    label: str | None
    split: Split | None
    patient: str | None
    first: int
    count: int


@dataclass(frozen=True)
class Sides:
    """Each unit's split (None: left out) and group, and what was left out: (source, side it left, side it is on)."""

    splits: list[Split | None]
    groups: NDArray[np.int64]
    left_out: Counter[tuple[str, Split, Split]] = field(default_factory=Counter)
    kept_leaks: Counter[tuple[str, Split, Split]] = field(default_factory=Counter)


def make_sides(description: Description, entries: Sequence[Entry], hashes: Hashes) -> Sides:
    """Split what isn't split yet, then see to it that no patient and no cluster is on two sides."""
    groups = components(len(entries), joined(description, entries, hashes))
    splits = [entry.split for entry in entries]
    for name, source in description.sources.items():
        if source.shares:
            share_out(
                source.shares, [i for i, entry in enumerate(entries) if entry.source == name], entries, groups, splits
            )
    found = leaks(groups, splits)
    counts = Counter((entries[i].source, side, higher) for i, (side, higher) in found.items())
    if description.leaks.action == "keep":
        return Sides(splits, groups, kept_leaks=counts)
    for i in found:
        splits[i] = None
    check_sides(groups, splits)
    return Sides(splits, groups, left_out=counts)


def joined(description: Description, entries: Sequence[Entry], hashes: Hashes) -> Pairs:
    """Pairs of units that must be on one side: one patient's, near-duplicates, or neighbours somewhat alike."""
    unit_of = np.repeat(np.arange(len(entries)), [entry.count for entry in entries])
    pairs = [np.asarray(unit_of[near_pairs(hashes, description.alike)], np.int64)]
    patients: dict[str, int] = {}
    same = [(patients.setdefault(entry.patient, i), i) for i, entry in enumerate(entries) if entry.patient]
    pairs.append(np.array(same, np.int64).reshape(-1, 2))
    for name, source in description.sources.items():
        if not isinstance(source.patients, PatientUnknown) or not (how := source.patients.neighbours):
            continue
        folders: dict[str, list[int]] = defaultdict(list)
        for i, entry in enumerate(entries):
            if entry.source == name:
                folders[entry.key.rpartition("/")[0]].append(i)
        for units in folders.values():
            members = np.array(units)
            numbers = np.array([number(how.pattern, entries[i].key) for i in units], np.int64)
            rows = hashes[[entries[i].first for i in units]]
            pairs.append(members[neighbour_pairs(rows, numbers, how.within, how.distance)])
    return np.concatenate(pairs)


def number(pattern: str, key: str) -> int:
    """The number in a file's name, -1 without one."""
    found = re.search(pattern, key.rpartition("/")[2])
    return int(found["number"]) if found else -1


def share_out(
    how: Shares, units: list[int], entries: Sequence[Entry], groups: NDArray[np.int64], splits: list[Split | None]
) -> None:
    """Give each group of a source to one split, in an order drawn by seed, so that each label has about its shares.

    A group that has members split already (another source's, made before) follows them.
    """
    wanted = {
        (label, split): share * count
        for label, count in Counter(entries[i].label for i in units).items()
        for split, share in how.shares.items()
    }
    fixed = highest_sides(groups, [split if split in how.shares else None for split in splits])
    members: dict[int, list[int]] = defaultdict(list)
    for i in units:
        members[int(groups[i])].append(i)

    def drawn(group: int) -> str:
        return hashlib.sha256(f"{how.seed}\n{min(entries[i].key for i in members[group])}".encode()).hexdigest()

    for group in sorted(members, key=drawn):
        labels = Counter(entries[i].label for i in members[group])

        def overshoot(split: Split, labels: Counter[str | None] = labels) -> tuple[float, float]:
            """How far over its wish the split would be; of those that stay below, the one that lacks most."""
            over = sum(max(0.0, count - wanted[label, split]) for label, count in labels.items())
            lack = sum(wanted[label, split] / how.shares[split] for label in labels)
            return over, -lack

        split: Split = fixed[group] if group in fixed else min(how.shares, key=overshoot)
        for i in members[group]:
            splits[i] = split
            wanted[entries[i].label, split] -= 1


def leaks(groups: NDArray[np.int64], splits: Sequence[Split | None]) -> dict[int, tuple[Split, Split]]:
    """Units whose group is on a higher side too (test over val over train): their side and that one."""
    highest = highest_sides(groups, splits)
    return {
        i: (split, highest[int(groups[i])])
        for i, split in enumerate(splits)
        if split and split != highest[int(groups[i])]
    }


def highest_sides(groups: NDArray[np.int64], splits: Sequence[Split | None]) -> dict[int, Split]:
    """For each group that has a side, the highest of them."""
    highest: dict[int, Split] = {}
    for group, split in zip(groups, splits, strict=True):
        if split and RANK[split] >= RANK[highest.get(int(group), split)]:
            highest[int(group)] = split
    return highest


def check_sides(groups: NDArray[np.int64], splits: Sequence[Split | None]) -> None:
    """Stop when a patient or cluster is on two sides."""
    sides: dict[int, Split] = {}
    for group, split in zip(groups, splits, strict=True):
        if split and sides.setdefault(int(group), split) != split:
            raise SystemExit(
                f"group {group} is on two sides, {split} and {sides[int(group)]}: this split can't be used"
            )
