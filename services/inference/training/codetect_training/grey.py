"""Image files as grey pictures: which files are taken, and a plain sentence for one that can't be."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def open_grey(path: Path) -> Image.Image:
    """An image file's picture in 8 bits of grey; one that can't be decoded is worth stopping for."""
    try:
        with Image.open(path) as image:
            if image.format == "TIFF" and getattr(image, "n_frames", 1) > 1:
                raise SystemExit(f"{path} holds several pictures: save each as a file of its own")
            return image.convert("L")
    except UnidentifiedImageError:
        raise SystemExit(f"{path} can't be decoded (it isn't an image): take it out of the folder") from None
    except Exception as error:  # a torn file can make a decoder raise anything
        raise SystemExit(f"{path} can't be decoded ({error}): take it out of the folder") from None
