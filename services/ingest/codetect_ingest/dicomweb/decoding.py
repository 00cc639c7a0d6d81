"""What is decoded for who retrieves: runs in a limited child wherever the data is compressed, or a file was kept whole.

A child gets a file and a `Job`; native images of ours are read by the same functions in the process itself.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, BinaryIO, Literal

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian
from pydicom.valuerep import BYTES_VR, VR

from codetect_ingest.child import ACCEPTED, REFUSED
from codetect_ingest.dicom.identity import Attributes
from codetect_ingest.dicom.reading import tolerant, transfer_syntax
from codetect_ingest.dicom.refusals import Refusal, Refused

LONGEST_INLINE = 1024
BULK = "bulk:"
WORDS = {VR.OW: 2, VR.OF: 4, VR.OL: 4, VR.OD: 8, VR.OV: 8}  # bytes a word, whose order the transfer syntax says
MONOCHROME1, PALETTE = "MONOCHROME1", "PALETTE COLOR"


@dataclass(frozen=True)
class Job:
    """What is asked of a file; `frames` count from 1, `native` wants them decoded, `path` is that of a value."""

    what: Literal["file", "frames", "picture", "attributes", "bulk"]
    frames: tuple[int, ...] = ()
    native: bool = True
    path: str = ""

    def message(self) -> bytes:
        """As a child gets it."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True)
class Picture:
    """A decoded frame, and what its values mean; windows in the units that slope and intercept lead to."""

    rows: int
    columns: int
    samples: int
    dtype: str
    inverted: bool
    slope: float
    intercept: float
    window: tuple[float, float] | None
    values: bytes

    def array(self) -> NDArray[Any]:
        """Return the values, (rows, columns) or (rows, columns, 3)."""
        shape = (self.rows, self.columns, self.samples)
        return np.frombuffer(self.values, self.dtype).reshape(shape[: 3 if self.samples > 1 else 2])


def be_silent() -> None:
    """Keep pydicom from warning in this process: its warnings quote values."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


@tolerant()
def answer(file: BinaryIO, message: bytes) -> list[list[bytes]]:
    """Do a job in a child."""
    asked = json.loads(message)
    job = Job(asked["what"], tuple(asked["frames"]), asked["native"], asked["path"])
    ds = pydicom.dcmread(file, force=True)
    if job.what == "file":
        return [[ACCEPTED, decoded_file(ds)]]
    if job.what == "frames":
        return [[ACCEPTED, *frames(ds, job.frames, native=job.native)]]
    if job.what == "picture":
        found = asdict(picture(ds, job.frames[0]))
        values = found.pop("values")
        return [[ACCEPTED, json.dumps(found).encode(), values]]
    if job.what == "bulk":
        return [[ACCEPTED, bulk(ds, job.path)]]
    return [[ACCEPTED, json.dumps(attributes(ds)).encode()]]


def understand(answers: Iterator[list[bytes]]) -> list[bytes]:
    """Read what a child said. Raises `Refused`."""
    parts = next(answers, [])
    if parts[:1] == [REFUSED]:
        raise Refused(Refusal(parts[1].decode()))
    if parts[:1] != [ACCEPTED]:
        raise Refused(Refusal.UNREADABLE)
    return parts[1:]


def understand_picture(answers: Iterator[list[bytes]]) -> Picture:
    """Read a picture out of what a child said. Raises `Refused`."""
    facts, values = understand(answers)
    told = json.loads(facts)
    return Picture(**(told | {"window": tuple(told["window"]) if told["window"] else None}), values=values)


def decoded_file(ds: Dataset) -> bytes:
    """Return the file as Explicit VR Little Endian."""
    if transfer_syntax(ds).is_encapsulated:
        ds.decompress(generate_instance_uid=False)
    elif transfer_syntax(ds) == ExplicitVRBigEndian and "PixelData" in ds:
        ds.PixelData = _little_endian(pixel_array(ds, raw=True))
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return buffer.getvalue()


def frames(ds: Dataset, numbers: Sequence[int], *, native: bool) -> list[bytes]:
    """Return frames' bytes (no numbers: of all) as stored, or decoded and little endian. Raises Refused for others."""
    count = int(ds.get("NumberOfFrames") or 1)
    numbers = numbers or range(1, count + 1)
    pixels = ds.get("PixelData", ds.get("FloatPixelData"))  # parametric maps have the latter
    if pixels is None or any(not 1 <= number <= count for number in numbers):
        raise Refused(Refusal.NO_PIXEL_DATA)
    if not native:
        return [get_frame(pixels, number - 1, number_of_frames=count) for number in numbers]
    if transfer_syntax(ds) == ExplicitVRLittleEndian:
        size = len(pixels) // count if count > 1 else _frame_bytes(ds)
        return [pixels[(number - 1) * size : number * size] for number in numbers]
    return [_little_endian(pixel_array(ds, index=number - 1, raw=True)) for number in numbers]


def picture(ds: Dataset, number: int) -> Picture:
    """Decode one frame to be shown. Raises Refused for what is no image."""
    if "PixelData" not in ds or not 1 <= number <= int(ds.get("NumberOfFrames") or 1):
        raise Refused(Refusal.NO_PIXEL_DATA)
    values = pixel_array(ds, index=number - 1)
    if ds.get("PhotometricInterpretation") == PALETTE:
        values = apply_color_lut(values, ds)
        values = (values >> (8 * (values.dtype.itemsize - 1))).astype(np.uint8)
    grey = values.ndim == 2
    center, width = (_first(ds.get(keyword)) if grey else None for keyword in ("WindowCenter", "WindowWidth"))
    return Picture(
        rows=values.shape[0],
        columns=values.shape[1],
        samples=1 if grey else values.shape[2],
        dtype=values.dtype.newbyteorder("<").str,
        inverted=ds.get("PhotometricInterpretation") == MONOCHROME1,
        slope=_first(ds.get("RescaleSlope")) or 1.0,
        intercept=_first(ds.get("RescaleIntercept")) or 0.0,
        window=(center, width) if center is not None and width is not None and width >= 1 else None,
        values=_little_endian(values),
    )


def attributes(ds: Dataset, above: str = "") -> Attributes:
    """Return a data set as DICOM JSON; of images and what is long only its path, for the caller to give as an address.

    A path is a tag, below a sequence the sequence's, the item's number from 1, the tag: `00880200/1/7FE00010`.
    What can't be read has its VR alone.
    """
    found: Attributes = {}
    for tag in sorted(ds.keys()):
        name = f"{tag:08X}"
        vr = ds.get_item(tag).VR
        try:
            found[name] = _attribute(ds[tag], f"{above}{name}")
        except Exception:  # pydicom and what it calls raise many kinds
            found[name] = {"vr": str(vr) if vr in set(VR) else "UN"}
    return found


def _attribute(element: DataElement, path: str) -> dict[str, Any]:
    if element.VR == VR.SQ:
        items = [attributes(item, f"{path}/{number}/") for number, item in enumerate(element.value, 1)]
        return {"vr": "SQ"} | ({"Value": items} if items else {})
    inline = 0 if element.keyword == "PixelData" else LONGEST_INLINE
    told: dict[str, Any] = element.to_json_dict(lambda _: f"{BULK}{path}", inline)
    return told


def bulk(ds: Dataset, path: str) -> bytes:
    """Return the bytes of a value by its path, little endian. Raises Refused where there are none."""
    big_endian = transfer_syntax(ds) == ExplicitVRBigEndian
    *above, tag = path.split("/")
    try:
        for sequence, number in zip(above[::2], above[1::2], strict=True):
            ds = ds[int(sequence, 16)].value[int(number) - 1]
        element = ds[int(tag, 16)]
    except (KeyError, IndexError, TypeError):
        raise Refused(Refusal.NO_PIXEL_DATA) from None
    if element.VR not in BYTES_VR or not element.value:
        raise Refused(Refusal.NO_PIXEL_DATA)
    width = WORDS.get(VR(element.VR), 1)
    if not big_endian or width == 1:
        return bytes(element.value)
    return np.frombuffer(element.value, f">u{width}").astype(f"<u{width}").tobytes()


def _frame_bytes(ds: Dataset) -> int:
    return int(ds.Rows * ds.Columns * (ds.get("SamplesPerPixel") or 1) * ds.BitsAllocated // 8)


def _little_endian(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False)).tobytes()


def _first(found: Any) -> float | None:
    found = found[0] if isinstance(found, MultiValue) and len(found) else found
    try:
        number = float(found)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
