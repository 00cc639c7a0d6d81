"""Stored pixel values and Hounsfield units."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from codetect_ingest.dicom.reading import NATIVE, integer, numbers, transfer_syntax, value
from codetect_ingest.dicom.refusals import Refusal, Refused

AIR_HU = -1024
INT16_MIN, INT16_MAX = -32768, 32767
JPEG_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
JPEG_BARE_MARKERS = {0x01, *range(0xD0, 0xDA)}
JPEG_2000_SIZE = b"\xff\x4f\xff\x51"


def stored_values(ds: Dataset) -> NDArray[np.integer]:
    """Decode to (rows, columns): only the stored bits, with their sign, in the machine's byte order.

    Raises `Refused`. `ds` has passed `reading.read`, which bounds what is decoded here.
    """
    syntax = transfer_syntax(ds)
    ds.file_meta.TransferSyntaxUID = syntax
    try:
        if syntax not in NATIVE and syntax != uid.RLELossless:
            frame = next(generate_frames(ds.PixelData, number_of_frames=1))
            if codestream_size(frame) != (ds.Rows, ds.Columns):
                raise Refused(Refusal.SIZE_MISMATCH)
        found = ds.pixel_array
    except (Refused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # the RLE decoder's Rust panics aren't Exceptions
        raise Refused(Refusal.MALFORMED if syntax in NATIVE else Refusal.UNDECODABLE) from None
    if found.shape != (ds.Rows, ds.Columns):
        raise Refused(Refusal.SIZE_MISMATCH)
    return _stored_bits(found, ds)


def hounsfield(stored: NDArray[np.integer], ds: Dataset) -> NDArray[np.int16]:
    """Map stored values to HU by the Modality LUT (PS3.3 C.11.1), int16, clipped; padding becomes air.

    A missing slope or intercept is 1 or 0: the stored values are then HU already (PS3.3 C.7.6.3).
    """
    slope, intercept = (
        default if value(ds, keyword) in (None, "") else numbers(ds, keyword, 1, Refusal.MALFORMED)[0]
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if slope == 0:
        raise Refused(Refusal.MALFORMED, "RescaleSlope")
    hu: NDArray[Any]
    if slope == 1 and intercept.is_integer() and stored.dtype.itemsize < 4:
        hu = stored.astype(np.int32)
        hu += np.int32(intercept)
    else:
        hu = stored.astype(np.float32)
        hu *= np.float32(slope)
        hu += np.float32(intercept)
        np.rint(hu, out=hu)
    units = np.clip(hu, INT16_MIN, INT16_MAX, out=hu).astype(np.int16)
    padding = padding_range(ds)
    if padding:
        units[(stored >= padding[0]) & (stored <= padding[1])] = AIR_HU
    return units


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return the (rows, columns) a JPEG, JPEG-LS or JPEG 2000 stream itself claims; None where it claims none.

    Decoders allocate by these numbers (T.81 B.2.2, T.87 C.2.2, T.800 A.5.1), whatever the DICOM header says.
    """
    if frame[:4] == JPEG_2000_SIZE:
        right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in range(8, 24, 4))
        return bottom - top, right - left
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in JPEG_FRAME_MARKERS:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        if marker == 0xFF:
            at += 1
        else:
            at += 2 if marker in JPEG_BARE_MARKERS else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _stored_bits(values: NDArray[np.integer], ds: Dataset) -> NDArray[np.integer]:
    """Drop bits above the stored ones (old overlays live there) and extend the sign (PS3.5 8.1.1)."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    allocated = values.dtype.itemsize * 8
    stored = integer(ds, "BitsStored", allocated)
    above = allocated - 1 - integer(ds, "HighBit", stored - 1)
    if stored == allocated and above == 0:
        return values
    return (values << above) >> (allocated - stored)


def padding_range(ds: Dataset) -> tuple[int, int] | None:
    """Return the range of stored values that mean "no image here", whatever sign they were written with."""
    try:
        first = int(value(ds, "PixelPaddingValue"))
        limit = value(ds, "PixelPaddingRangeLimit")
        last = first if limit in (None, "") else int(limit)
    except (TypeError, ValueError):
        return None
    whole = 1 << integer(ds, "BitsAllocated")
    below_zero = whole // 2 if integer(ds, "PixelRepresentation", 0) else 0
    first, last = ((v + below_zero) % whole - below_zero for v in (first, last))
    return min(first, last), max(first, last)
