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
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.multival import MultiValue
from pydicom.valuerep import format_number_as_ds

from codetect_ingest.dicom.pixels import padding_range
from codetect_ingest.dicom.reading import NATIVE, transfer_syntax, value, words

# fmt: off
CODES = (
    "ImageType", "BodyPartExamined", "ScanOptions", "RotationDirection", "PatientPosition", "LossyImageCompression",
    "LossyImageCompressionMethod", "BurnedInAnnotation",
)
TEXTS = ("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "FilterType")
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
INSIDE_WORDS = 4  # letters from which on a name is looked for inside of words, too
LONGEST = {"LO": 64, "SH": 16}
PROFILE = {
    "113100": "Basic Application Confidentiality Profile",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}  # PS3.16, CID 7050
PLAIN_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
PLAIN_TEXT = re.compile(r"[ -\[\]-~]{1,64}")
IMPLEMENTATION_CLASS_UID = uid.UID("2.25.302043790172249692526321623266752743501")
IMPLEMENTATION_VERSION_NAME = "CODETECT"


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

    def patient(self, original: str) -> str:
        """Return the patient's pseudonym, 20 hexadecimal digits."""
        return self._digest(b"patient", original)[:10].hex().upper()

    def shift_days(self, original: str) -> int:
        """Return how many days this patient's dates move back: 1 to ten years, the same for all of them."""
        return 1 + int.from_bytes(self._digest(b"shift", original)[:8], "big") % LONGEST_SHIFT_DAYS

    def _digest(self, purpose: bytes, original: str) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + original.encode(), hashlib.sha256)


def patient_of(ds: Dataset) -> str:
    """Return what tells this patient from others: the id with its issuer, else name and birth date, else the study."""
    identity, issuer, name, born = (
        str(value(ds, k) or "").strip().upper()
        for k in ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
    )
    if identity:
        return f"id\0{identity}\0{issuer}"
    return f"name\0{name}\0{born}" if name else f"study\0{ds.StudyInstanceUID}"


def deidentify(ds: Dataset, stored: NDArray[np.integer], pseudonyms: Pseudonyms) -> Dataset:
    """Build a new CT image that keeps what is listed, under pseudonyms; `stored` is what `stored_values` made of `ds`.

    Compressed pixel data is kept as it came, any other is written anew as Explicit VR Little Endian.
    """
    patient, names = patient_of(ds), _identifying_words(ds)
    clean = Dataset()
    for keyword in EMPTY:
        setattr(clean, keyword, None)
    for keyword in CODES:
        plain = [word for word in words(ds, keyword) if PLAIN_CODE.fullmatch(word)]
        _keep(clean, keyword, [word for word in plain if not _names_someone(word, names)])
    for keyword in TEXTS:
        text = str(value(ds, keyword) or "").strip()
        if PLAIN_TEXT.fullmatch(text) and not _names_someone(text, names):
            _keep(clean, keyword, text[: LONGEST[dictionary_VR(keyword)]])
    for keyword in NUMBERS:
        number = _plain_numbers(ds, keyword)
        if dictionary_VR(keyword) != "IS" or str(number) not in names:
            _keep(clean, keyword, number)
    padding = padding_range(ds)
    if padding:
        clean.PixelPaddingValue = padding[0]
        _keep(clean, "PixelPaddingRangeLimit", padding[1] if padding[1] != padding[0] else None)
    for keyword in DATES:
        _keep(clean, keyword, _shifted(value(ds, keyword), pseudonyms.shift_days(patient)))
    _complete(clean)
    inverted = words(ds, "PhotometricInterpretation") == ["MONOCHROME1"]
    clean.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    clean.SOPClassUID = uid.CTImageStorage
    clean.Modality = "CT"
    clean.SOPInstanceUID = pseudonyms.uid(ds.SOPInstanceUID)
    clean.StudyInstanceUID = pseudonyms.uid(ds.StudyInstanceUID)
    clean.SeriesInstanceUID = pseudonyms.uid(ds.SeriesInstanceUID)
    clean.FrameOfReferenceUID = pseudonyms.uid(str(value(ds, "FrameOfReferenceUID") or f"of {ds.SeriesInstanceUID}"))
    clean.PatientID = pseudonyms.patient(patient)
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = "CoDetect: PS3.15 Annex E by a list of what is kept"
    clean.DeidentificationMethodCodeSequence = [_code(*code) for code in PROFILE.items()]
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    _write_pixels(clean, ds, stored)
    return clean


def encode(clean: Dataset) -> bytes:
    """Write a file with a preamble of zeros and a header of our own."""
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    clean.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    buffer = BytesIO()
    clean.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _write_pixels(clean: Dataset, ds: Dataset, stored: NDArray[np.integer]) -> None:
    """Carry the image over: exactly its own bytes; `stored_values` has stripped what hid between or behind them."""
    syntax = transfer_syntax(ds)
    clean.file_meta = FileMetaDataset()
    if syntax in NATIVE or syntax == uid.RLELossless:
        clean.HighBit = clean.BitsStored - 1
    if syntax in NATIVE:
        clean.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        clean.PixelData = stored.astype(stored.dtype.newbyteorder("<"), copy=False).tobytes()
    else:
        clean.file_meta.TransferSyntaxUID = syntax
        clean.PixelData = encapsulate([next(generate_frames(ds.PixelData, number_of_frames=1))])
    clean["PixelData"].VR = "OB" if syntax not in NATIVE or clean.BitsAllocated == 8 else "OW"


def _complete(clean: Dataset) -> None:
    """Add what a CT image must say (type 1) where the source didn't: PS3.3 A.3."""
    kind = [*clean.get("ImageType", ["DERIVED", "SECONDARY"]), "AXIAL"]
    clean.ImageType = kind if len(kind) == 3 else kind[:-1]
    clean.HighBit = clean.get("HighBit", clean.BitsStored - 1)
    clean.RescaleSlope, clean.RescaleIntercept = clean.get("RescaleSlope", 1), clean.get("RescaleIntercept", 0)
    clean.RescaleType = "HU"
    if "BodyPartExamined" not in clean:
        clean.Laterality = None


def _keep(clean: Dataset, keyword: str, found: Any) -> None:
    if found not in (None, "", []):
        setattr(clean, keyword, found)


def _plain_numbers(ds: Dataset, keyword: str) -> Any:
    """Return numbers as numbers: a decimal string is written anew, so nothing else travels in it."""
    found = value(ds, keyword)
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


def _shifted(date: Any, days: int) -> str | None:
    """Move a date back; a date that isn't one goes."""
    try:
        found = datetime.datetime.strptime(str(date).replace(".", "").strip()[:8], "%Y%m%d").date()
        return (found - datetime.timedelta(days=days)).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return None


def _identifying_words(ds: Dataset) -> set[str]:
    """Collect this file's names, numbers and dates: people type them where they don't belong."""
    anywhere, persons = (_words(" ".join(str(value(ds, k) or "") for k in part)) for part in (IDENTIFYING, PERSONS))
    return {w for w in anywhere if len(w) >= INSIDE_WORDS} | {w for w in persons if len(w) > 1 and w.isalpha()}


def _names_someone(text: str, names: set[str]) -> bool:
    """Whether one of the names stands in a text: long ones anywhere, short ones as words alone."""
    anywhere, words_alone = text.upper(), _words(text)
    return any(name in (anywhere if len(name) >= INSIDE_WORDS else words_alone) for name in names)


def _words(text: str) -> set[str]:
    return set(re.split(r"[^0-9A-Z\u0080-\uffff]+", text.upper()))


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
