"""From slices in HU to the model's input: find the lungs, then crop, window and scale what shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from codetect_inference.bundle import Preprocessing

HU = NDArray[np.int16]
Mask = NDArray[np.bool_]

AT_ONCE = 16  # slices whose masks are made together: few calls, little memory
SMALL_SIDE = 128  # pixels of a small copy's longer side, about 3 mm each
AIR_HU = -400  # below: air or lung; above: tissue
LUNG_HU = (-970, -500)  # medians of lungs, from emphysema to oedema; gas in bowel or sinuses lies at -1000
SHOWN_SHARE = 0.04  # of the body in a slice that must be lung for the slice to show lung
LARGE_SHARE = 0.1  # of the largest airy region; smaller ones are bowel gas, trachea, skin folds
AIRWAY_SHARE = (0.0015, 0.03)  # of the body in a slice, as larynx, trachea and main bronchi fill it
IN_PLANE = ndimage.generate_binary_structure(3, 1) & np.array([0, 1, 0], bool)[:, None, None]  # neighbours in a slice
CROSS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
SQUARE = ((0, 0), (-1, 0), (0, -1), (-1, -1))
BORDER = ((0, 0), (1, 1), (1, 1))
AIRWAY_PLACE = 0.12  # farthest of the airway's middle from the body's, as a share of the body's width


@dataclass(frozen=True)
class Box:
    """A crop in full pixels; `bottom` and `right` are exclusive."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Plan:
    """What of a series goes into the model: the slices that show lung, ascending, and one crop for all of them.

    `little_lung`: none does, but these show the airway, as at the top of a chest; their result deserves a warning.
    """

    slices: tuple[int, ...]
    box: Box
    little_lung: bool = False

    @property
    def shows_lung(self) -> bool:
        """False: there is nothing to analyse (code `no_lung`)."""
        return bool(self.slices)


def plan_series(count: int, read: Callable[[int], HU], margin: float) -> Plan:
    """Look at a small copy of each of `count` slices and decide what to analyse; one slice is enough."""
    first = read(0)
    step = max(1, max(first.shape) // SMALL_SIDE)
    small = np.stack([shrink(first, step), *(shrink(read(index), step) for index in range(1, count))])
    body = np.concatenate([body_mask(small[at : at + AT_ONCE]) for at in range(0, count, AT_ONCE)])
    lung = lung_mask(small, body)
    share = lung.sum((1, 2)) / np.maximum(body.sum((1, 2)), 1)
    shown = np.flatnonzero(share >= SHOWN_SHARE)
    if len(shown):
        return Plan(tuple(shown.tolist()), body_box(body[shown], step, first.shape, margin))
    airway = tuple(index for index in range(count) if shows_airway(small[index], body[index]))
    return Plan(airway, Box(0, first.shape[0], 0, first.shape[1]), little_lung=bool(airway))


def shows_lung(hu: HU) -> bool:
    """Whether one slice (rows, columns) shows lung."""
    return plan_series(1, lambda _: hu, 0).shows_lung


def shrink(hu: HU, step: int) -> HU:
    """Means of step x step pixels, so that noise of thin slices doesn't tear the masks."""
    rows, columns = (size // step for size in hu.shape)
    strips = hu[: rows * step, : columns * step].reshape(rows, step, columns * step)
    lines = np.add.reduce(strips, axis=1, dtype=np.int32)
    return np.asarray(sum(lines[:, offset::step] for offset in range(step)) // step**2, np.int16)


def body_mask(small: HU) -> Mask:
    """The largest piece of tissue in each slice with its holes filled: the body with its lungs, without table and arms.

    (n, rows, columns) in and out; slices are looked at each by itself.
    """
    tissue = opening(np.pad(small, BORDER, constant_values=-1024) > AIR_HU, CROSS)
    pieces, _ = ndimage.label(tissue, IN_PLANE)
    largest = np.array([_largest(one) for one in pieces])[:, None, None]
    around, _ = ndimage.label((pieces != largest) | (pieces == 0), IN_PLANE)
    return np.asarray((around != around[:, :1, :1])[:, 1:-1, 1:-1])


def _largest(pieces: NDArray[np.int32]) -> int:
    """The label of a slice's largest piece; 0, of what lies around, where there is none."""
    found = pieces[pieces > 0]
    if not found.size:
        return 0
    first = int(found.min())
    return first + int(np.bincount(found - first).argmax())


def lung_mask(small: HU, body: Mask) -> Mask:
    """Large airy regions inside the body whose HU are a lung's; (n, rows, columns), connected across slices."""
    airy = opening(body & (small < AIR_HU), SQUARE)
    labels, _ = ndimage.label(airy)
    sizes = np.bincount(labels[airy], minlength=1)
    large = (labels == one for one in np.flatnonzero(sizes >= max(1, LARGE_SHARE * sizes.max())))
    lungs = [one for one in large if LUNG_HU[0] < np.median(small[one]) < LUNG_HU[1]]
    return np.asarray(reduce(np.logical_or, lungs, np.zeros_like(airy)))


def opening(mask: Mask, shape: Sequence[tuple[int, int]]) -> Mask:
    """What of each slice's mask a small shape fills that fits wholly inside; SciPy's takes ten times as long."""

    def moved(by: tuple[int, int]) -> Mask:
        return padded[:, 1 + by[0] : 1 + by[0] + mask.shape[1], 1 + by[1] : 1 + by[1] + mask.shape[2]]

    padded = np.pad(mask, BORDER)
    inside = reduce(np.logical_and, [moved(place) for place in shape])
    padded = np.pad(inside, BORDER)
    return np.asarray(reduce(np.logical_or, [moved((-down, -right)) for down, right in shape]))


def shows_airway(small: HU, body: Mask) -> bool:
    """Whether a slice has one airway-sized hole near the body's midline."""
    labels, count = ndimage.label(body & (small < AIR_HU))
    columns = np.flatnonzero(body.any(0))
    if not count or not len(columns):
        return False
    share = np.bincount(labels.ravel())[1:] / body.sum()
    places = np.array([place[1] for place in ndimage.center_of_mass(labels > 0, labels, np.arange(1, count + 1))])
    offset = np.abs(places - (columns[0] + columns[-1]) / 2) / (columns[-1] - columns[0] + 1)
    fits = (share > AIRWAY_SHARE[0]) & (share < AIRWAY_SHARE[1]) & (offset < AIRWAY_PLACE)
    return bool(fits.sum() == 1 and share[~fits].sum() < AIRWAY_SHARE[0])


def body_box(body: Mask, step: int, shape: tuple[int, ...], margin: float) -> Box:
    """The body's extent over all slices plus `margin` of it on each side.

    Not the lungs' extent: their mask misses consolidated lung, which is what must not be cut off.
    """
    rows, columns = np.flatnonzero(body.any((0, 2))), np.flatnonzero(body.any((0, 1)))
    edges = []
    for found, size in ((rows, shape[0]), (columns, shape[1])):
        low, high = int(found[0]) * step, (int(found[-1]) + 1) * step
        extra = round((high - low) * margin)
        edges += [max(0, low - extra), min(size, high + extra)]
    return Box(*edges)


def prepare_slice(hu: HU, box: Box, how: Preprocessing) -> NDArray[np.float32]:
    """One slice as the model takes it: (1, side, side) float32 in 0..1, squeezed to a square as in training."""
    grey = window(hu[box.top : box.bottom, box.left : box.right], how.level_hu, how.width_hu)
    square = Image.fromarray(grey).resize((how.side, how.side), Image.Resampling.BILINEAR)
    return np.asarray(square, np.float32)[None]


def prepare_batch(slices: Iterable[HU], box: Box, how: Preprocessing) -> NDArray[np.float32]:
    """Slices as one batch, (n, 1, side, side)."""
    return np.stack([prepare_slice(hu, box, how) for hu in slices])


def brightness(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean and standard deviation of each image of a prepared batch, (n, 2): what its input is watched by."""
    return np.stack([batch.mean((1, 2, 3)), batch.std((1, 2, 3))], -1, dtype=np.float32)


def window(hu: HU, level_hu: float, width_hu: float) -> NDArray[np.float32]:
    """HU to 0..1 through a window."""
    grey = hu.astype(np.float32)
    grey -= np.float32(level_hu - width_hu / 2)
    grey /= np.float32(width_hu)
    return np.clip(grey, 0, 1, out=grey)
