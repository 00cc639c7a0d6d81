"""Pictures of slices and of what argues on them: through a window, as an overlay, or both in one."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codetect_inference.explain import Floats, Maps, bias_of, evidence
from codetect_inference.preprocess import HU, window

OPACITY = 0.6
CLEAR_EVIDENCE = 4.0  # a calibrated logit: a probability of 0.98


def slice_png(hu: HU, level_hu: float, width_hu: float) -> bytes:
    """A slice (rows, columns) through a window, as a grey PNG of its own size."""
    return png(Image.fromarray(grey(hu, level_hu, width_hu)))


def grey(hu: HU, level_hu: float, width_hu: float) -> NDArray[np.uint8]:
    """A slice (rows, columns) through a window, 0 black."""
    return np.rint(window(hu, level_hu, width_hu) * 255).astype(np.uint8)


def heatmap_png(maps: Maps, row: int, column: int, shape: Sequence[int], temperature: float) -> bytes:
    """`overlay` as a transparent PNG."""
    return png(Image.fromarray(overlay(maps, row, column, shape, temperature)))


def on_slice(
    hu: HU, level_hu: float, width_hu: float, maps: Maps, row: int, column: int, temperature: float
) -> Image.Image:
    """A slice through a window with its overlay laid over, RGB."""
    below = Image.fromarray(grey(hu, level_hu, width_hu)).convert("RGBA")
    heat = Image.fromarray(overlay(maps, row, column, hu.shape, temperature))
    return Image.alpha_composite(below, heat).convert("RGB")


def overlay(maps: Maps, row: int, column: int, shape: Sequence[int], temperature: float) -> NDArray[np.uint8]:
    """What to lay over one analysed slice (`row`) for a label (`column`): RGBA of the slice's shape.

    Each place shows what it adds for the label, on one scale for the study: full colour is its strongest place, or a
    probability of 0.98 where nothing is as strong. A slice without evidence stays clear.
    """
    strongest = float(maps.cams[:, column].max()) + float(bias_of(maps, row, column))
    full = max(strongest, CLEAR_EVIDENCE * temperature)
    box = maps.box
    heat = np.clip(evidence(maps, row, column) / np.float32(full), 0, 1).astype(np.float32)
    canvas = np.zeros((shape[0], shape[1], 4), np.uint8)
    canvas[box.top : box.bottom, box.left : box.right] = colour(heat)
    return canvas


def colour(heat: Floats) -> NDArray[np.uint8]:
    """Heat 0..1 (rows, columns) -> RGBA: clear, then yellow, orange and dark red, each darker than the last."""
    table = colours()
    nearest = np.rint(heat * np.float32(len(table) - 1)).astype(np.uint16)
    return np.asarray(table[nearest].view(np.uint8).reshape(*heat.shape, 4))


@cache
def colours() -> NDArray[np.uint32]:
    """The RGBA of 65,536 heats from 0 to 1, four bytes in one number: reckoning it for each pixel takes long."""
    heat = np.linspace(0, 1, 2**16, dtype=np.float32)
    stops = np.array([0, 0.35, 0.7, 1])
    rgb = np.array([[255, 237, 160], [254, 178, 76], [240, 59, 32], [150, 0, 38]], np.float32)
    parts = [np.interp(heat, stops, rgb[:, channel]) for channel in range(3)]
    return np.rint(np.stack([*parts, heat**0.5 * OPACITY * 255], -1)).astype(np.uint8).view(np.uint32)[:, 0]


def png(image: Image.Image) -> bytes:
    """As a PNG that is quick to write."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
