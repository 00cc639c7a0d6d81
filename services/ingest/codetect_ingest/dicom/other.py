"""Sound DICOM files that aren't analysed: what is known of them, so that they can be kept beside their study."""

from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from codetect_ingest.dicom.deidentify import Pseudonyms, patient_of, shifted
from codetect_ingest.dicom.identity import Attributes, Identity, identity_of
from codetect_ingest.dicom.reading import identify, parse, tolerant, transfer_syntax, value


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
        attributes=attributes,
        identity=identity_of(ds),
    )
