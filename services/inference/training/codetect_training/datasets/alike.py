"""Near-duplicates: a perceptual hash of 255 bits per slice, and who belongs together by Hamming distance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.fft import dctn
from scipy.sparse.csgraph import connected_components

LOOK = 64  # pixels of the small copy that is hashed
WAVES = 16  # lowest frequencies kept each way; with the usual 8, chest slices of strangers collide (ADR 0057)
BITS = WAVES * WAVES - 1
ALIKE = 40  # bits that two slices may differ by and still count as one picture (ADR 0057)
BLOCK = 2048

Hashes = NDArray[np.bool_]
Pairs = NDArray[np.int64]


def perceptual_hash(look: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The signs of the lowest frequencies against their median, (255,), of a (64, 64) copy (pHash; Zauner 2010)."""
    waves = dctn(look, norm="ortho")[:WAVES, :WAVES].ravel()[1:]
    return np.asarray(waves > np.median(waves))


def pack(bits: NDArray[np.bool_]) -> str:
    """A hash as text."""
    return np.packbits(bits).tobytes().hex()


def unpack(texts: Sequence[str]) -> Hashes:
    """Hashes (n, 255) from their texts."""
    rows = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(len(texts), -1)
    return np.unpackbits(rows, axis=1, count=BITS).astype(np.bool_)


def distances(one: Hashes, other: Hashes) -> NDArray[np.int64]:
    """Hamming distances, (n, m)."""
    return np.rint((BITS - agreement(one, other)) / 2).astype(np.int64)


def agreement(one: Hashes, other: Hashes) -> NDArray[np.float32]:
    """Equal bits less unequal ones, (n, m): one matrix product, exact in float32."""
    signs = [hashes.astype(np.float32) * 2 - 1 for hashes in (one, other)]
    return np.asarray(signs[0] @ signs[1].T)


def near_pairs(hashes: Hashes, distance: int) -> Pairs:
    """Pairs of slices (n, 2) that differ by at most `distance` bits; a block of rows at a time."""
    return np.concatenate(list(_near(hashes, distance)) or [np.empty((0, 2), np.int64)])


def _near(hashes: Hashes, distance: int) -> Iterator[Pairs]:
    for at in range(0, len(hashes), BLOCK):
        close = agreement(hashes[at : at + BLOCK], hashes[at:]) >= BITS - 2 * distance
        found = np.argwhere(np.triu(close, 1))
        yield found + at


def neighbour_pairs(hashes: Hashes, numbers: NDArray[np.int64], within: int, distance: int) -> Pairs:
    """Pairs of slices near in number that differ by at most `distance` bits; number -1: none."""
    order = np.argsort(numbers, kind="stable")
    order = order[numbers[order] >= 0]
    pairs = [np.empty((0, 2), np.int64)]
    for step in range(1, len(order)):
        left, right = order[:-step], order[step:]
        close = numbers[right] - numbers[left] <= within
        if not close.any():
            break
        differ = (hashes[left] != hashes[right]).sum(1)
        pairs.append(np.stack([left, right], 1)[close & (differ <= distance)])
    return np.concatenate(pairs)


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Which component each of `count` things belongs to, (count,), by the pairs that join them."""
    graph = sparse.coo_matrix((np.ones(len(pairs), np.bool_), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
