"""A decoded frame as people look at it: windowed, cut, scaled, as PNG or JPEG (PS3.18 8.3.5)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codetect_ingest.dicomweb.decoding import Picture
from codetect_ingest.dicomweb.negotiation import PNG
from codetect_ingest.dicomweb.problems import QueryInvalid

LUNG = (-600.0, 1500.0)
LARGEST = 4096
QUALITY = 90
THUMBNAIL = 128
Function = Literal["linear", "linear-exact", "sigmoid"]


@dataclass(frozen=True)
class Viewport:
    """The size of the picture, and the part of the image that it shows; None: all from there on."""

    width: int
    height: int
    left: int = 0
    top: int = 0
    part_width: int | None = None
    part_height: int | None = None


@dataclass(frozen=True)
class Rendering:
    """How somebody wants to look at it."""

    window: tuple[float, float] | None = None
    function: Function = "linear"
    viewport: Viewport | None = None
    quality: int = QUALITY


def rendering_of(parameters: Mapping[str, str], *, thumbnail: bool = False) -> Rendering:
    """Read query parameters. Raises QueryInvalid."""
    viewport = _viewport(parameters["viewport"]) if parameters.get("viewport") else None
    if thumbnail:
        return Rendering(viewport=viewport or Viewport(THUMBNAIL, THUMBNAIL))
    window, function = _window(parameters["window"]) if parameters.get("window") else (None, "linear")
    quality = _whole(parameters.get("quality", str(QUALITY)), "quality")
    if not 1 <= quality <= 100:
        raise QueryInvalid("quality is 1 to 100.")
    return Rendering(window, function, viewport, quality)  # type: ignore[arg-type]


def render(picture: Picture, how: Rendering, media_type: str) -> bytes:
    """Return the picture as a file."""
    image = Image.fromarray(_eight_bits(picture, how))
    if how.viewport:
        image = _placed(image, how.viewport)
    buffer = BytesIO()
    if media_type == PNG:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=how.quality)
    return buffer.getvalue()


def _eight_bits(picture: Picture, how: Rendering) -> NDArray[np.uint8]:
    values = picture.array()
    if picture.samples > 1:
        return values.astype(np.uint8) if values.dtype.itemsize == 1 else (values >> 8).astype(np.uint8)
    units = values.astype(np.float32) * np.float32(picture.slope) + np.float32(picture.intercept)
    center, width = how.window or picture.window or LUNG
    grey = windowed(units, center, width, how.function)
    return 255 - grey if picture.inverted else grey


def windowed(units: NDArray[np.float32], center: float, width: float, function: Function) -> NDArray[np.uint8]:
    """Map to 0..255 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "sigmoid":
        grey = 255 / (1 + np.exp(np.clip(-4 * (units - center) / width, -80, 80)))
    elif function == "linear-exact":
        grey = ((units - center) / width + 0.5) * 255
    else:
        grey = ((units - (center - 0.5)) / max(width - 1, 1e-6) + 0.5) * 255
    rounded: NDArray[np.uint8] = np.clip(np.rint(grey), 0, 255).astype(np.uint8)
    return rounded


def _placed(image: Image.Image, viewport: Viewport) -> Image.Image:
    """Cut and scale, keeping the proportions; a negative size turns the part around (PS3.18 8.3.5.1.3)."""
    width = viewport.part_width if viewport.part_width is not None else image.width - viewport.left
    height = viewport.part_height if viewport.part_height is not None else image.height - viewport.top
    right, bottom = viewport.left + abs(width), viewport.top + abs(height)
    if not (width and height and right <= image.width and bottom <= image.height):
        raise QueryInvalid("The viewport's part lies outside of the image.")
    image = image.crop((viewport.left, viewport.top, right, bottom))
    if width < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if height < 0:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    scale = min(viewport.width / image.width, viewport.height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


def _window(text: str) -> tuple[tuple[float, float], Function]:
    parts = [part.strip() for part in text.split(",")]
    functions: dict[str, Function] = {"linear": "linear", "linear-exact": "linear-exact", "sigmoid": "sigmoid"}
    function = functions.get(parts[2].lower().replace("_", "-") if len(parts) == 3 else "linear")
    if len(parts) not in (2, 3) or function is None:
        raise QueryInvalid("window is center,width,function; the function linear, linear-exact or sigmoid.")
    center, width = (_number(part, "window") for part in parts[:2])
    if width <= 0 or (function == "linear" and width < 1):
        raise QueryInvalid("The window's width is too small.")
    return (center, width), function


def _viewport(text: str) -> Viewport:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 6):
        raise QueryInvalid("viewport is width,height or width,height,left,top,width,height of the part.")
    width, height, *part = (_whole(p, "viewport") if p else None for p in parts)
    if not (width and height and 0 < width <= LARGEST and 0 < height <= LARGEST):
        raise QueryInvalid(f"The viewport is 1 to {LARGEST} wide and high.")
    left, top, part_width, part_height = part or (0, 0, None, None)
    if (left or 0) < 0 or (top or 0) < 0:
        raise QueryInvalid("The viewport's part lies outside of the image.")
    return Viewport(width, height, left or 0, top or 0, part_width, part_height)


def _number(text: str, name: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or abs(found) > 1e9:
        raise QueryInvalid(f"{name} has something that isn't a number.")
    return found


def _whole(text: str, name: str) -> int:
    found: Any = _number(text, name)
    if not found.is_integer():
        raise QueryInvalid(f"{name} has something that isn't a whole number.")
    return int(found)
