"""PS3.15 Annex E, Basic Application Confidentiality Profile with modified dates, by keeping only what is listed here.

Nothing unlisted survives: private, nested, retired, unknown, and whatever a later edition adds. ADR 0022 says why a
list of what stays, and how it is held against the standard's own table.
"""

import datetime
import hashlib
import hmac
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import format_number_as_ds

from codetect_ingest.dicom.encoding import dataset_of
from codetect_ingest.dicom.pixels import padding_range
from codetect_ingest.dicom.reading import NATIVE, transfer_syntax, value, words
from codetect_ingest.dicom.remembering import Said, element_of, remembered, said, tag_of
from codetect_ingest.dicom.writing import meta_of

# fmt: off
CODES = (
    "ImageType", "BodyPartExamined", "ScanOptions", "RotationDirection", "PatientPosition", "LossyImageCompression",
    "LossyImageCompressionMethod", "BurnedInAnnotation",
)
TEXTS = {"Manufacturer": 64, "ManufacturerModelName": 64, "ConvolutionKernel": 16, "FilterType": 16}  # longest
NUMBERS = (
    "SliceThickness", "KVP", "DataCollectionDiameter", "ReconstructionDiameter", "DistanceSourceToDetector",
    "DistanceSourceToPatient", "GantryDetectorTilt", "TableHeight", "ExposureTime", "XRayTubeCurrent", "Exposure",
    "GeneratorPower", "FocalSpots", "RevolutionTime", "SingleCollimationWidth", "TotalCollimationWidth", "TableSpeed",
    "TableFeedPerRotation", "SpiralPitchFactor", "SeriesNumber", "AcquisitionNumber", "InstanceNumber",
    "SliceLocation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SamplesPerPixel", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth",
    "RescaleIntercept", "RescaleSlope", "LossyImageCompressionRatio",
)
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
EMPTY = (
    "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "SeriesNumber", "AcquisitionNumber", "InstanceNumber", "PositionReferenceIndicator",
    "Manufacturer", "KVP", "SliceThickness", "PatientPosition",
)
PERSONS = (
    "PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
    "PerformingPhysicianName", "OperatorsName",
)
IDENTIFYING = (
    *PERSONS, *DATES, "PatientID", "OtherPatientIDs", "PatientBirthDate", "PatientTelephoneNumbers", "PatientAddress",
    "AccessionNumber", "StudyID", "InstitutionName",
)
# fmt: on
LONGEST_SHIFT_DAYS = 3650
USUAL_NAMES = 2048  # letters of all of a file's names together
INSIDE_WORDS = 4  # letters from which on a name is looked for inside of words, too
WHOLE = {keyword: dictionary_VR(keyword) == "IS" for keyword in NUMBERS}
PROFILE = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}  # PS3.16, CID 7050
PLAIN_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
PLAIN_TEXT = re.compile(r"[ -\[\]-~]{1,64}")
PIXEL_DATA = BaseTag(0x7FE00010)


class Pseudonyms:
    """Names that only the facility's key ties to the real ones: the same on every try, in every process."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def uid(self, original: str) -> str:
        """Return a UID under 2.25 (PS3.5 B.2): a version 8 UUID made of the keyed hash."""
        digest = bytearray(self._digest(b"uid", original)[:16])
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{uuid.UUID(bytes=bytes(digest)).int}"

    def kept_series(self, original: str) -> str:
        """Return the UID of a series' files that are kept unread: they may share a series with slices (PS3.3 C.7.3)."""
        return self.uid(f"kept {original}")

    def uids(self, original: str) -> list[str]:
        """Return what a UID may be called: a series' slices and its files that were kept unread have one name each."""
        return [self.uid(original), self.kept_series(original)]

    def patient(self, original: str) -> str:
        """Return the patient's pseudonym, 20 hexadecimal digits."""
        return self._digest(b"patient", original)[:10].hex().upper()

    def shift_days(self, original: str) -> int:
        """Return how many days this patient's dates move back: 1 to ten years, the same for all of them."""
        return 1 + int.from_bytes(self._digest(b"shift", original)[:8], "big") % LONGEST_SHIFT_DAYS

    def _digest(self, purpose: bytes, original: str) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + original.encode(), hashlib.sha256)


def patient_of(ds: Dataset) -> str:
    """Return what tells this patient from others: the id, else name and birth date, else the study.

    A facility is one issuer of ids; whether a file names the issuer depends on who wrote it, even within a study.
    """
    identity, name, born = (
        str(value(ds, k) or "").strip().upper() for k in ("PatientID", "PatientName", "PatientBirthDate")
    )
    if identity:
        return f"id\0{identity}"
    return f"name\0{name}\0{born}" if name else f"study\0{value(ds, 'StudyInstanceUID')}"


def deidentify(ds: Dataset, stored: NDArray[np.integer], pseudonyms: Pseudonyms) -> Dataset:
    """Build a new CT image that keeps what is listed, under pseudonyms; `stored` is what `stored_values` made of `ds`.

    Compressed pixel data is kept as it came, any other is written anew as Explicit VR Little Endian.
    """
    patient, names = patient_of(ds), _names_of(ds)
    found: dict[str, Any] = dict.fromkeys(EMPTY)
    for keyword in CODES:
        plain = [word for word in words(ds, keyword) if PLAIN_CODE.fullmatch(word)]
        _keep(found, keyword, [word for word in plain if not names.stand_in(word)])
    for keyword, longest in TEXTS.items():
        text = str(value(ds, keyword) or "").strip()
        if PLAIN_TEXT.fullmatch(text) and not names.stand_in(text):
            _keep(found, keyword, text[:longest].strip())
    for keyword, whole in WHOLE.items():
        number = _numbers(ds, keyword)
        if not whole or not names.hold(str(number)):
            _keep(found, keyword, number)
    padding = padding_range(ds)
    if padding:
        found["PixelPaddingValue"] = padding[0]
        _keep(found, "PixelPaddingRangeLimit", padding[1] if padding[1] != padding[0] else None)
    days = pseudonyms.shift_days(patient)
    for keyword in DATES:
        _keep(found, keyword, shifted(value(ds, keyword), days))
    _complete(found)
    inverted = words(ds, "PhotometricInterpretation") == ["MONOCHROME1"]
    series = value(ds, "SeriesInstanceUID")
    frame_of_reference = str(value(ds, "FrameOfReferenceUID") or f"of {series}")
    found |= {
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
        "SOPClassUID": uid.CTImageStorage,
        "Modality": "CT",
        "SOPInstanceUID": pseudonyms.uid(value(ds, "SOPInstanceUID")),
        "StudyInstanceUID": pseudonyms.uid(value(ds, "StudyInstanceUID")),
        "SeriesInstanceUID": pseudonyms.uid(series),
        "FrameOfReferenceUID": pseudonyms.uid(frame_of_reference),
        "PatientID": pseudonyms.patient(patient),
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": METHOD,
        "DeidentificationMethodCodeSequence": METHOD_CODES,
        "LongitudinalTemporalInformationModified": "MODIFIED",
    }
    syntax = transfer_syntax(ds)
    if syntax in NATIVE or syntax == uid.RLELossless:
        found["HighBit"] = found["BitsStored"] - 1
    clean = dataset_of(found, signed=found["PixelRepresentation"] == 1)
    given = uid.ExplicitVRLittleEndian if syntax in NATIVE else syntax
    clean.file_meta = meta_of(uid.CTImageStorage, found["SOPInstanceUID"], given)
    clean[PIXEL_DATA] = DataElement(PIXEL_DATA, *_pixels(ds, syntax, stored), already_converted=True)
    return clean


def _pixels(ds: Dataset, syntax: uid.UID, stored: NDArray[np.integer]) -> tuple[str, bytes | memoryview]:
    """Return the image's VR and exactly its own bytes; `stored_values` has stripped what hid between or behind them."""
    if syntax not in NATIVE:
        return "OB", encapsulate([next(generate_frames(ds.PixelData, number_of_frames=1))])
    little = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    return "OB" if stored.dtype.itemsize == 1 else "OW", little.data.cast("B")


def _complete(found: dict[str, Any]) -> None:
    """Add what a CT image must say (type 1) where the source didn't: PS3.3 A.3."""
    kind = [*found.get("ImageType", ["DERIVED", "SECONDARY"]), "AXIAL"]
    usual = {"HighBit": found["BitsStored"] - 1, "RescaleSlope": 1, "RescaleIntercept": 0}
    found |= {keyword: usual[keyword] for keyword in usual.keys() - found}
    found |= {"ImageType": kind if len(kind) == 3 else kind[:-1], "RescaleType": "HU"}
    if "BodyPartExamined" not in found:
        found["Laterality"] = None


def _keep(known: dict[str, Any], keyword: str, found: Any) -> None:
    if found not in (None, "", []):
        known[keyword] = found


def _numbers(ds: Dataset, keyword: str) -> Any:
    """Return numbers as numbers: a decimal string is written anew, so nothing else travels in it."""
    one = said(ds, tag_of(keyword))
    return _said_numbers(one, keyword) if one else _plain_numbers(value(ds, keyword), keyword)


@remembered
def _said_numbers(one: Said, keyword: str) -> Any:
    try:
        found = element_of(one).value
    except Exception:
        return None
    return _plain_numbers(found, keyword)


def _plain_numbers(found: Any, keyword: str) -> Any:
    values = list(found) if isinstance(found, MultiValue) else [found]
    if found in (None, "") or (len(values) > 1 and dictionary_VM(keyword) == "1"):
        return None
    try:
        plain = [AS_PLAIN[dictionary_VR(keyword)](v) for v in values]
    except (TypeError, ValueError, OverflowError):
        return None
    return plain if len(plain) > 1 else plain[0]


def _whole(number: Any) -> int:
    if not -(2**31) <= int(number) < 2**31:
        raise ValueError("too large for IS (PS3.5 6.2)")
    return int(number)


AS_PLAIN: dict[str, Callable[[Any], Any]] = {
    "DS": lambda v: format_number_as_ds(float(v)),
    "IS": _whole,
    "US": int,
    "FD": float,
}


def shifted(date: Any, days: int) -> str | None:
    """Move a date back; a date that isn't one goes."""
    return _moved_back(str(date).replace(".", "").strip()[:8], days)


@remembered
def _moved_back(date: str, days: int) -> str | None:
    try:
        found = datetime.datetime.strptime(date, "%Y%m%d").date()
        return (found - datetime.timedelta(days=days)).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return None


class Names(NamedTuple):
    """A file's own names, numbers and dates; the long ones count inside of words, too."""

    long: frozenset[str]
    short: frozenset[str]

    def hold(self, word: str) -> bool:
        """Whether it is one of them."""
        return word in self.long or word in self.short

    def stand_in(self, text: str) -> bool:
        """Whether one of them stands in a text: long ones anywhere, short ones as words alone."""
        anywhere = text.upper()
        return any(name in anywhere for name in self.long) or not self.short.isdisjoint(_words(text))


def _names_of(ds: Dataset) -> Names:
    """Collect this file's names, numbers and dates: people type them where they don't belong."""
    anywhere, persons = (" ".join(str(value(ds, k) or "") for k in part) for part in (IDENTIFYING, PERSONS))
    usual = len(anywhere) + len(persons) <= USUAL_NAMES
    return _usual_names_in(anywhere, persons) if usual else _names_in(anywhere, persons)


def _names_in(anywhere: str, persons: str) -> Names:
    short = frozenset(w for w in _words(persons) if 1 < len(w) < INSIDE_WORDS and w.isalpha())
    return Names(frozenset(w for w in _words(anywhere) if len(w) >= INSIDE_WORDS), short)


_usual_names_in = remembered(_names_in)


def _words(text: str) -> set[str]:
    return set(re.split(r"[^0-9A-Z\u0080-\uffff]+", text.upper()))


def _encoded_codes() -> bytes:
    """Return the items that name the profile (PS3.16, CID 7050), encoded."""
    items = []
    for code, meaning in PROFILE.items():
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
        items.append(item)
    holder = Dataset()
    holder.DeidentificationMethodCodeSequence = items
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_sequence(buffer, holder["DeidentificationMethodCodeSequence"], ["iso8859"])
    return bytes(buffer.getvalue())


METHOD = "CoDetect: PS3.15 Annex E by a list of what is kept"
METHOD_CODES = _encoded_codes()
