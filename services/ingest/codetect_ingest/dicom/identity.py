"""What names a person or ties an image to its origin: taken off one file by level, and put back for who may see it.

Levels are those of the DICOM model; values travel as DICOM JSON (PS3.18 F), sealed wherever they rest.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import pydicom
from pydantic import BaseModel, ConfigDict
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from codetect_ingest.dicom.remembering import Said, element_of, remembered, said, tag_of

Attributes = dict[str, Any]

# fmt: off
STUDY_LEVEL = (
    "StudyInstanceUID", "PatientName", "PatientID", "IssuerOfPatientID", "OtherPatientIDs", "PatientBirthDate",
    "PatientSex", "PatientAge", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "StudyDescription",
    "ReferringPhysicianName", "InstitutionName",
)
SERIES_LEVEL = (
    "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "SeriesDate", "SeriesTime",
    "ProtocolName", "PerformingPhysicianName", "StationName",
)
INSTANCE_LEVEL = (
    "SOPInstanceUID", "FrameOfReferenceUID", "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime",
)
PSEUDONYMOUS = (
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
# fmt: on
LONGEST = 1024
STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"  # their tags, as DICOM JSON has them


class Identity(BaseModel):
    """The original attributes of one file: DICOM JSON by level."""

    model_config = ConfigDict(frozen=True)

    study: Attributes = {}
    series: Attributes = {}
    instance: Attributes = {}


def identity_of(ds: Dataset) -> Identity:
    """Take what identifies out of a file; what can't be read, or is longer than any name, is left behind."""
    return Identity(
        study=as_json(ds, STUDY_LEVEL), series=as_json(ds, SERIES_LEVEL), instance=as_json(ds, INSTANCE_LEVEL)
    )


def as_json(ds: Dataset, keywords: tuple[str, ...]) -> Attributes:
    """Return these attributes as DICOM JSON (PS3.18 F.2), by tag; absent and unreadable ones are missing."""
    found: Attributes = {}
    for keyword in keywords:
        tag = tag_of(keyword)
        try:
            one = said(ds, tag)
            attribute = _said_json(one) if one else _json(ds[tag]) if tag in ds else None
        except Exception:  # noqa: S112 - a value that breaks DICOM's rules names nobody that could be found again
            continue
        if attribute is not None:
            found[f"{tag:08X}"] = attribute
    return found


def _json(element: DataElement) -> Attributes | None:
    attribute: Attributes = element.to_json_dict(None, 0)
    short = len(str(attribute)) <= LONGEST and "\x00" not in str(attribute.get("Value", ""))
    return attribute if short else None


@remembered
def _said_json(one: Said) -> Attributes | None:
    return _json(element_of(one))


def restore(clean: Dataset, *levels: Mapping[str, Any]) -> Dataset:
    """Put original attributes back into a clean image; it is changed and returned."""
    for keyword in PSEUDONYMOUS:
        if keyword in clean:
            delattr(clean, keyword)
    for attributes in levels:
        clean.update(Dataset.from_json(dict(attributes)))
    clean.SpecificCharacterSet = "ISO_IR 192"
    if hasattr(clean, "file_meta"):
        clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    return clean


def restored_file(data: bytes, uids: Mapping[str, str], *levels: Mapping[str, Any]) -> bytes:
    """Return a clean DICOM file under its original UIDs, nested references included, with original attributes."""
    ds = restore(map_uids(pydicom.dcmread(BytesIO(data)), uids), *levels)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def uids_in(*levels: Attributes) -> Iterator[str]:
    """Yield the UIDs that an identity holds."""
    for level in levels:
        for attribute in level.values():
            if attribute["vr"] == "UI":
                yield from attribute.get("Value", [])


def map_uids(ds: Dataset, uids: Mapping[str, str]) -> Dataset:
    """Replace every UID that is known to stand for another, however deep it lies; `ds` is changed and returned."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                map_uids(item, uids)
        elif element.VR == "UI" and element.value:
            several = isinstance(element.value, MultiValue)
            found = [uids.get(str(uid), str(uid)) for uid in (element.value if several else [element.value])]
            element.value = found if several else found[0]
    return ds
