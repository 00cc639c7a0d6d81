"""One hostile file to a checked data set. Runs in a limited child: see `codetect_ingest.children`.

A value of more than `LARGE` bytes stays in the file until somebody asks for it: an image of many frames is read frame
by frame.
"""

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from typing import Any, BinaryIO, NamedTuple

import pydicom
from pydicom import charset, uid
from pydicom._uid_dict import UID_dictionary
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import ReadableBuffer

from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.remembering import element_of, said, tag_of

LARGE = 32 * 2**20  # bytes
MAX_ROWS = MAX_COLUMNS = 4096
MAX_FRAMES = 4096
MAX_PIXELS = 2**29  # of all frames of a file: 2048 of 512 x 512
NATIVE = {
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
}
COMPRESSED = {
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
}
ENHANCED = {uid.EnhancedCTImageStorage, uid.LegacyConvertedEnhancedCTImageStorage}
CT = {uid.CTImageStorage, *ENHANCED}
STORAGE = "1.2.840.10008.5.1.4.1.1."
KINDS = {
    f"{STORAGE}7.": Refusal.SECONDARY_CAPTURE,
    f"{STORAGE}11.": Refusal.ANNOTATION,  # presentation states
    f"{STORAGE}66.4.": Refusal.ANNOTATION,  # segmentations
    f"{STORAGE}66.5.": Refusal.ANNOTATION,
    f"{STORAGE}66.7.": Refusal.ANNOTATION,
    f"{STORAGE}88.": Refusal.STRUCTURED_REPORT,
    f"{STORAGE}104.": Refusal.DOCUMENT,
    f"{STORAGE}481.": Refusal.RADIOTHERAPY,
    f"{uid.MediaStorageDirectoryStorage}.": Refusal.DICOMDIR,
}  # by the root of their SOP class
LOCALIZER_WORDS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}
SCREEN_WORDS = {"SCREEN SAVE", "SCREEN_SAVE", "PASTED", "DOSE_INFO", "DOSE INFO"}
GREY = {"", "MONOCHROME1", "MONOCHROME2"}
IN_HU = re.compile(r"|US|HU|HU_MOD|HOUND?SFIELD( UNITS?)?")  # PS3.3 C.11.1.1.2, as unspecified, and as makers spell it
PREAMBLE = 128
PIXEL_DATA = 0x7FE00010
# pydicom 3.0 leaves the escapes of GB 2312 in names, and doesn't know Latin-9 (PS3.3 C.12.1.1.2)
charset.handled_encodings = ("iso2022_jp", "iso2022_jp_2")  # type: ignore[assignment]
charset.python_encoding |= {"ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}
MODALITY = re.compile(r"[A-Z0-9_]{1,16}")


@contextmanager
def tolerant() -> Iterator[None]:
    """Read on past small sins without a word: pydicom's warnings quote values."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


@tolerant()
def read(source: bytes | BinaryIO) -> Dataset:
    """Parse a file and refuse what isn't a sound CT image; `multiframe.frames_of` gives its slices, one or many.

    Raises `Refused`. Pixels are not decoded yet. Limits of memory and time are the caller's: a small deflated file can
    ask for gigabytes.
    """
    ds = parse(source)
    _check_kind(ds)
    _check_pixels(ds, _size(source))
    _check_identifiers(ds)
    _check_size(ds)
    _complete(ds)
    return ds


class Identified(NamedTuple):
    """What any DICOM object says of its place; its original identifiers."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    series_number: int | None


@tolerant()
def identify(ds: Dataset) -> Identified:
    """Return which object this is, CT or not. `BAD_UID` where it can't be told, `MALFORMED` for an odd number."""
    _check_identifiers(ds)
    kind = value(ds, "SOPClassUID")
    if not isinstance(kind, uid.UID) or not kind.is_valid:
        raise Refused(Refusal.BAD_UID, "SOPClassUID")
    modality = "".join(words(ds, "Modality")[:1])
    number = value(ds, "SeriesNumber")
    return Identified(
        sop_class_uid=kind,
        sop_instance_uid=ds.SOPInstanceUID,
        study_instance_uid=ds.StudyInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        modality=modality if MODALITY.fullmatch(modality) else "OT",
        series_number=None if number in (None, "") else integer(ds, "SeriesNumber"),
    )


def transfer_syntax(ds: Dataset) -> uid.UID:
    """Return the transfer syntax; a file without the header tells it by how it was read."""
    declared = value(ds.file_meta, "TransferSyntaxUID")
    if declared:
        return uid.UID(str(declared))
    implicit, little = ds.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def value(ds: Dataset, keyword: str) -> Any:
    """Return an attribute's value, or None where there is none or its encoding can't be read."""
    try:
        one = said(ds, tag := tag_of(keyword))
        return element_of(one).value if one else ds.get(keyword) if tag in ds._dict else None
    except Exception:
        return None


def numbers(ds: Dataset, keyword: str, count: int, otherwise: Refusal = Refusal.NO_GEOMETRY) -> list[float]:
    """Return the attribute's numbers; refused as `otherwise` where they are missing, too few or not finite."""
    found = value(ds, keyword)
    try:
        found = [float(v) for v in ([found] if count == 1 else found)]
    except (TypeError, ValueError, OverflowError):
        raise Refused(otherwise, keyword) from None
    if len(found) != count or not all(math.isfinite(v) and abs(v) < 1e6 for v in found):
        raise Refused(otherwise, keyword)
    return found


def integer(ds: Dataset, keyword: str, default: int | None = None) -> int:
    """Return a whole number of the image's description; `MALFORMED` where it isn't one."""
    found = value(ds, keyword)
    if found in (None, "") and default is not None:
        return default
    try:
        return int(found)
    except (TypeError, ValueError, OverflowError):
        raise Refused(Refusal.MALFORMED, keyword) from None


def words(ds: Dataset, keyword: str) -> list[str]:
    """Return a coded attribute's values in capitals, whether it holds none, one or several."""
    found = value(ds, keyword)
    found = [] if found is None else [found] if isinstance(found, str) else found
    return [str(v).strip().upper() for v in found] if isinstance(found, Sequence) else []


@tolerant()
def parse(source: bytes | BinaryIO) -> Dataset:
    """Read any DICOM file without converting a value; headless ones are read when they begin as a data set does.

    Raises `Refused`, also for a file that was cut: pydicom reads what is left and says nothing.
    """
    file = BytesIO(source) if isinstance(source, bytes) else source
    file.seek(0)
    start = file.read(PREAMBLE + 4)
    file.seek(0)
    if not start:
        raise Refused(Refusal.EMPTY)
    headless = start[PREAMBLE:] != b"DICM"
    if headless and not (start[:2] in (b"\x02\x00", b"\x08\x00") and start[2:4] < b"\xff\xff"):
        raise Refused(Refusal.NOT_DICOM)
    warnings.filterwarnings("error", message="End of file reached")
    try:
        ds = pydicom.dcmread(file, defer_size=LARGE, force=headless)
    except MemoryError:
        raise
    except UserWarning:
        raise Refused(Refusal.TRUNCATED) from None
    except Exception as error:
        cut = isinstance(error, EOFError) or "truncated" in str(error)
        raise Refused(Refusal.TRUNCATED if cut else Refusal.MALFORMED) from None
    if len(ds) == 0:
        raise Refused(Refusal.NOT_DICOM if headless else Refusal.TRUNCATED)
    ds.buffer = ds.buffer or file  # where pydicom reads on; by itself it would open the file again, by name
    end = _size(ds.buffer)
    if any(e.value_tell + e.length > end if _unread(e) else len(e.value or b"") < e.length for e in _raw(ds)):
        raise Refused(Refusal.TRUNCATED)
    return ds


def unread_image(ds: Dataset) -> RawDataElement | None:
    """Return where the image lies in `ds.buffer`, if it is large and was left there."""
    element = ds.get_item(PIXEL_DATA, keep_deferred=True)
    return element if isinstance(element, RawDataElement) and _unread(element) else None


def _unread(element: RawDataElement) -> bool:
    return element.value is None and element.length != 0


def _size(source: bytes | ReadableBuffer) -> int:
    return len(source) if isinstance(source, bytes) else source.seek(0, SEEK_END)


def _raw(ds: Dataset) -> list[RawDataElement]:
    return [e for e in ds._dict.values() if isinstance(e, RawDataElement) and e.length != 0xFFFFFFFF]


def _check_kind(ds: Dataset) -> None:
    """Say what it is when it isn't a CT image: people send whole folders, with scouts, reports and dose pages."""
    kind = uid.UID(str(value(ds, "SOPClassUID") or value(ds.file_meta, "MediaStorageSOPClassUID") or ""))
    modality = "".join(words(ds, "Modality")[:1])
    name = kind.name if kind in UID_dictionary and kind not in CT else ""
    for root, code in KINDS.items():
        if f"{kind}.".startswith(root):
            raise Refused(code, name)
    if "DirectoryRecordSequence" in ds:
        raise Refused(Refusal.DICOMDIR)
    if (kind and kind not in CT) or (modality or "CT") != "CT" or not (kind or modality):
        raise Refused(Refusal.NOT_CT, name)
    check_image(ds)


def check_image(ds: Dataset) -> None:
    """Refuse a CT image that isn't a slice of tissue in HU: a scout, a page of text, values that are something else."""
    image_type = set(words(ds, "ImageType"))
    if image_type & LOCALIZER_WORDS:
        raise Refused(Refusal.LOCALIZER)
    if image_type & SCREEN_WORDS or words(ds, "BurnedInAnnotation") not in ([], [""], ["NO"]):
        raise Refused(Refusal.BURNED_IN)
    grey = GREY.issuperset(words(ds, "PhotometricInterpretation")) and "COLOR" not in words(ds, "PixelPresentation")
    in_hu = all(IN_HU.fullmatch(word) for word in words(ds, "RescaleType")) and "ModalityLUTSequence" not in ds
    if not (grey and in_hu):
        raise Refused(Refusal.NOT_HU)


def _check_pixels(ds: Dataset, size: int) -> None:
    """Tell a file that was cut before its image from one that has none."""
    if _image_bytes(ds) == 0:
        end = max((e.value_tell + e.length for e in _raw(ds)), default=0)
        cut = "Rows" not in ds or 0 < size - end < 8
        raise Refused(Refusal.TRUNCATED if cut else Refusal.NO_PIXEL_DATA)


def _check_identifiers(ds: Dataset) -> None:
    """PS3.5 9.1: digits and dots, no leading zeros, 64 characters; anything else could be a path or a name."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        found = value(ds, keyword)
        if not isinstance(found, uid.UID) or not found.is_valid:
            raise Refused(Refusal.BAD_UID, keyword)


def _check_size(ds: Dataset) -> None:
    """Compare what the header promises with what is there, before anything is decoded."""
    syntax = transfer_syntax(ds)
    if syntax not in NATIVE | COMPRESSED:
        raise Refused(Refusal.UNSUPPORTED_TRANSFER_SYNTAX, syntax.name if syntax in UID_dictionary else "")
    rows, columns = integer(ds, "Rows"), integer(ds, "Columns")
    allocated, stored = integer(ds, "BitsAllocated"), integer(ds, "BitsStored", integer(ds, "BitsAllocated"))
    frames, samples = frame_count(ds), integer(ds, "SamplesPerPixel", 1)
    high = integer(ds, "HighBit", stored - 1)
    if rows > MAX_ROWS or columns > MAX_COLUMNS:
        raise Refused(Refusal.TOO_LARGE, f"{columns} x {rows} pixels")
    if frames > MAX_FRAMES or frames * rows * columns > MAX_PIXELS:
        raise Refused(Refusal.TOO_LARGE, f"{frames} images")
    if frames > 1 and value(ds, "SOPClassUID") not in ENHANCED:
        raise Refused(Refusal.ENHANCED)
    if samples != 1:
        raise Refused(Refusal.NOT_CT, "a colour image")
    if rows < 1 or columns < 1:
        raise Refused(Refusal.SIZE_MISMATCH)
    if allocated not in (8, 16, 32) or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise Refused(Refusal.MALFORMED, "BitsAllocated, BitsStored, HighBit")
    if integer(ds, "PixelRepresentation", 0) not in (0, 1):
        raise Refused(Refusal.MALFORMED, "PixelRepresentation")
    if syntax in NATIVE:
        expected, found = frames * rows * columns * allocated // 8, _image_bytes(ds)
        if not 0 <= found - expected <= 1:
            raise Refused(Refusal.SIZE_MISMATCH, f"{expected} bytes expected, {found} found")


def _image_bytes(ds: Dataset) -> int:
    """Return how long the image is, also one that is yet to be read."""
    element = unread_image(ds)
    return element.length if element else len(value(ds, "PixelData") or b"")


def frame_count(ds: Dataset) -> int:
    """Return how many images the file says it holds, one or more."""
    frames = integer(ds, "NumberOfFrames", 1)
    if frames < 1:
        raise Refused(Refusal.MALFORMED, "NumberOfFrames")
    return frames


def _complete(ds: Dataset) -> None:
    """Say of the pixels what a careless writer left out and a CT slice leaves no doubt about (PS3.3 C.8.2.1)."""
    usual = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelRepresentation": 0,
        "BitsStored": value(ds, "BitsAllocated"),
    }
    for keyword, found in usual.items():
        if value(ds, keyword) in (None, ""):
            ds.add_new(keyword, dictionary_VR(keyword), found)  # also in place of what can't be read
