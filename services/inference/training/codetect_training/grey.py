"""Image files as grey pictures: which files are taken, how bright they are, and a plain sentence for one that can't be.

Eight bits of grey (also of colour) are taken as they are. More bits don't say what is white: the least of 255, 4095 and
65535 that no pixel of the image exceeds is, so that 12 bits kept in 16 are read as 12; in floating point also 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
WHITE = (255, 4095, 65535)  # of 8, 12 and 16 bits


def open_grey(path: Path) -> Image.Image:
    """An image file's picture in 8 bits of grey; one that can't be decoded is worth stopping for."""
    try:
        with Image.open(path) as image:
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise SystemExit(f"{path} holds several pictures: save each as a file of its own")
            return scaled(image) if image.mode[0] in "IF" else image.convert("L")
    except UnidentifiedImageError:
        raise SystemExit(f"{path} can't be decoded (it isn't an image): take it out of the folder") from None
    except Exception as error:  # a torn file can make a decoder raise anything
        raise SystemExit(f"{path} can't be decoded ({error}): take it out of the folder") from None


def scaled(image: Image.Image) -> Image.Image:
    """Pixels of 16 or 32 bits, or in floating point, as 8 bits. Raises ValueError for what is no grey, such as HU."""
    values = np.asarray(image, np.float64)
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= WHITE[-1]:
        raise ValueError(f"its values are {low:g} to {high:g}, where an image has 0 to {WHITE[-1]}")
    white = next(one for one in ((1, *WHITE) if image.mode == "F" else WHITE) if high <= one)
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))
