"""What ingest's manifest says of a series: which instances its slices are, and whose study they belong to."""

from pydantic import BaseModel

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


class VolumeObject(BaseModel):
    """The prepared volume's object."""

    bytes: int


class ManifestInstance(BaseModel):
    """One slice, `index` its place in the volume."""

    index: int
    sop_instance_uid: str
    sop_class_uid: str = CT_IMAGE_STORAGE
    position_mm: tuple[float, float, float]


class Manifest(BaseModel):
    """Pseudonyms only; manifests of the first release know neither patient nor date."""

    study_instance_uid: str
    series_instance_uid: str
    patient_id: str = ""
    study_date: str | None = None
    orientation: tuple[float, float, float, float, float, float] = (1, 0, 0, 0, 1, 0)
    volume: VolumeObject
    instances: list[ManifestInstance]
