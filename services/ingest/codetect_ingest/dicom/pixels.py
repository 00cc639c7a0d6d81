"""Stored pixel values and Hounsfield units."""

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from rle.utils import encode_pixel_data

from codetect_ingest.dicom.codestream import shape, stripped
from codetect_ingest.dicom.reading import NATIVE, integer, numbers, transfer_syntax, value
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.remembering import tag_of

AIR_HU = -1024
DECODERS = {
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.RLELossless: "",  # any: pydicom's own reads on past what stands between segments
}
INT16_MIN, INT16_MAX = -32768, 32767
PLAIN = NATIVE - {uid.ExplicitVRBigEndian}
USUAL = {"SamplesPerPixel": 1, "BitsAllocated": 16, "PhotometricInterpretation": "MONOCHROME2"}
UNUSUAL = {"PlanarConfiguration", "NumberOfFrames", "ExtendedOffsetTable", "FloatPixelData", "DoubleFloatPixelData"}


def stored_values(ds: Dataset) -> NDArray[np.integer]:
    """Decode to (rows, columns): only the stored bits, with their sign, in the machine's byte order.

    Raises `Refused`. `ds` has passed `reading.read`, which bounds what is decoded here. A compressed image is decoded,
    and left in `ds`, without what hides in its stream or in bits that aren't stored ones: what is kept of it later is
    what was looked at.
    """
    syntax = transfer_syntax(ds)
    plain = _plain(ds, syntax)
    if plain is not None:
        return _stored_bits(plain, ds)
    _replace(ds, syntax)
    try:
        if syntax not in NATIVE:
            _replace(ds, syntax, encapsulate([_stream(ds, syntax)]))
            # one decoder: what it calls damaged isn't shown to a slower and less strict one (ADR 0023)
            ds.pixel_array_options(decoding_plugin=DECODERS.get(syntax, "pylibjpeg"))
        found = ds.pixel_array
    except (Refused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # the RLE decoder's Rust panics aren't Exceptions
        raise Refused(Refusal.MALFORMED if syntax in NATIVE else Refusal.UNDECODABLE) from None
    if found.shape != (ds.Rows, ds.Columns):
        raise Refused(Refusal.SIZE_MISMATCH)
    stored = _stored_bits(found, ds)
    if syntax == uid.RLELossless:
        _replace(ds, syntax, encapsulate([encode_pixel_data(stored.tobytes(), ds, byteorder="<")]))
    elif syntax not in NATIVE and stored is not found and not np.array_equal(stored, found):
        _replace(ds, uid.ExplicitVRLittleEndian, stored.tobytes())
    return stored


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
    if slope == 1 and intercept.is_integer() and stored.dtype.itemsize < 4:
        units = _moved(stored, int(intercept))
    else:
        hu = stored.astype(np.float32)
        hu *= np.float32(slope)
        hu += np.float32(intercept)
        np.rint(hu, out=hu)
        units = np.clip(hu, INT16_MIN, INT16_MAX, out=hu).astype(np.int16)
    padding = padding_range(ds)
    if padding:
        first, last = padding
        np.copyto(units, AIR_HU, where=stored == first if first == last else (stored >= first) & (stored <= last))
    return units


def _moved(stored: NDArray[np.integer], by: int) -> NDArray[np.int16]:
    """Add to values of 8 or 16 bits, clipped; where nothing is to be clipped, 16 bits do on the way, too."""
    if int(stored.min()) + by >= INT16_MIN and int(stored.max()) + by <= INT16_MAX:
        units = stored.astype(np.int16)
        units += np.array(by).astype(np.int16)  # modulo 2^16, as what wraps on the way comes back
        return units
    hu = stored.astype(np.int32)
    hu += np.int32(by)
    return np.clip(hu, INT16_MIN, INT16_MAX, out=hu).astype(np.int16)


def _plain(ds: Dataset, syntax: uid.UID) -> NDArray[np.integer] | None:
    """Return an image of the usual kind as it lies in the file, not copied; None for any other: pydicom knows them."""
    rows, columns, stored, signed = (
        value(ds, keyword) for keyword in ("Rows", "Columns", "BitsStored", "PixelRepresentation")
    )
    usual = syntax in PLAIN and {k: value(ds, k) for k in USUAL} == USUAL
    whole = all(type(each) is int for each in (rows, columns, stored, signed))
    if not (usual and whole and 1 <= stored <= 16 and signed in (0, 1)) or any(tag_of(k) in ds for k in UNUSUAL):
        return None
    data = value(ds, "PixelData")
    if not (isinstance(data, bytes) and len(data) == 2 * rows * columns):
        return None
    return np.frombuffer(data, "<i2" if signed else "<u2").reshape(rows, columns)


def _replace(ds: Dataset, syntax: uid.UID, pixels: bytes | None = None) -> None:
    """Put these in place of what was there, whatever VR that was written with."""
    ds.file_meta.add_new("TransferSyntaxUID", "UI", syntax)
    if pixels is not None:
        ds.add_new("PixelData", "OB", pixels)


def _stream(ds: Dataset, syntax: uid.UID) -> bytes:
    """Return the one frame's stream, stripped, once it claims what the header says."""
    frame = next(generate_frames(ds.PixelData, number_of_frames=1))
    if syntax == uid.RLELossless:  # claims nothing, and is written anew
        return frame
    frame = stripped(frame, syntax)
    claimed = shape(frame)
    if claimed is None or claimed[:3] != (ds.Rows, ds.Columns, 1):
        raise Refused(Refusal.SIZE_MISMATCH)
    return frame


def _stored_bits(values: NDArray[np.integer], ds: Dataset) -> NDArray[np.integer]:
    """Drop bits above the stored ones (old overlays live there) and extend the sign (PS3.5 8.1.1)."""
    values = values.astype(values.dtype.newbyteorder("="), copy=False)  # little endian on every machine we run on
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
