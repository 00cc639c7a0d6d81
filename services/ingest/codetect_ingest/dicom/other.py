"""Sound DICOM files that aren't analysed: what is known of them, so that they can be kept beside their study."""

from typing import BinaryIO

import pydicom
from pydantic import BaseModel, ConfigDict
from pydicom import uid
from pydicom.dataset import Dataset

from codetect_ingest.dicom.deidentify import Pseudonyms, patient_of, shifted
from codetect_ingest.dicom.identity import Attributes, Identity, as_json, identity_of
from codetect_ingest.dicom.instance import SERIES_ATTRIBUTES
from codetect_ingest.dicom.reading import identify, integer, parse, tolerant, transfer_syntax, value
from codetect_ingest.dicom.refusals import Refused

SOP_CLASS, SOP_INSTANCE = "SOPClassUID", "SOPInstanceUID"
LARGEST = 2**31 - 1
FACTS = {"rows": "Rows", "columns": "Columns", "bits_allocated": "BitsAllocated", "frames": "NumberOfFrames"}


class Other(BaseModel):
    """Pseudonyms and kind of a file that stays as it came; `identity` holds what it is really called."""

    model_config = ConfigDict(frozen=True)

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_date: str | None
    modality: str
    instance_number: int | None = None
    facts: dict[str, int] = {}
    attributes: Attributes
    identity: Identity


@tolerant()
def other_of(source: bytes | BinaryIO, pseudonyms: Pseudonyms) -> Other:
    """Return what a file is that isn't a slice. Raises `Refused` where it doesn't say."""
    ds = parse(source)
    named = identify(ds)
    patient = patient_of(ds)
    attributes: Attributes = {"00080060": {"vr": "CS", "Value": [named.modality]}}
    if named.series_number is not None:
        attributes["00200011"] = {"vr": "IS", "Value": [named.series_number]}
    return Other(
        patient_id=pseudonyms.patient(patient),
        study_instance_uid=pseudonyms.uid(named.study_instance_uid),
        series_instance_uid=pseudonyms.kept_series(named.series_instance_uid),
        sop_instance_uid=pseudonyms.uid(named.sop_instance_uid),
        sop_class_uid=named.sop_class_uid,
        transfer_syntax_uid=transfer_syntax(ds),
        study_date=shifted(value(ds, "StudyDate"), pseudonyms.shift_days(patient)),
        modality=named.modality,
        instance_number=_whole(ds, "InstanceNumber"),
        facts={name: found for name, keyword in FACTS.items() if (found := _whole(ds, keyword)) is not None},
        attributes=attributes,
        identity=_identity(ds),
    )


@tolerant()
def named_by(file: BinaryIO) -> tuple[str, str] | None:
    """Return SOP class and instance of a file, whatever else is wrong with it; None where it doesn't say."""
    tags = [SOP_CLASS, SOP_INSTANCE]
    file.seek(0)
    ds = pydicom.dcmread(file, force=True, specific_tags=tags, stop_before_pixels=True)
    found = str(ds.get(SOP_CLASS) or ""), str(ds.get(SOP_INSTANCE) or "")
    return found if all(uid.UID(one).is_valid for one in found) else None


def _identity(ds: Dataset) -> Identity:
    """Return its identity; what is told of a series, and was not cleaned here, stays sealed with it."""
    identity = identity_of(ds)
    return identity.model_copy(update={"series": as_json(ds, SERIES_ATTRIBUTES) | identity.series})


def _whole(ds: Dataset, keyword: str) -> int | None:
    """Return a number that can be kept in the clear; None where there is none."""
    try:
        found = integer(ds, keyword) if value(ds, keyword) not in (None, "") else None
    except Refused:
        return None
    return found if found is not None and abs(found) <= LARGEST else None
