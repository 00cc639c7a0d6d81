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
    """Pseudonyms only; manifests of the first release know neither patient nor date, and some not the pixels' spacing.

    `orientation`: the directions (LPS) of rising columns and of rising rows; `pixel_spacing_mm`: between rows, between
    columns (PS3.3 C.7.6.2, 10.7.1.3).
    """

    study_instance_uid: str
    series_instance_uid: str
    patient_id: str = ""
    study_date: str | None = None
    frame_of_reference_uid: str | None = None
    orientation: tuple[float, float, float, float, float, float] = (1, 0, 0, 0, 1, 0)
    pixel_spacing_mm: tuple[float, float] | None = None
    slice_spacing_mm: float | None = None
    slice_thickness_mm: float | None = None
    volume: VolumeObject
    instances: list[ManifestInstance]

    def place(self, n: int, column: float, row: float) -> tuple[float, float, float] | None:
        """Where in the patient (LPS, mm) a pixel's centre on slice `n` lies; the first pixel is 0, 0 (C.7.6.2.1.1)."""
        if self.pixel_spacing_mm is None:
            return None
        down, across = self.pixel_spacing_mm
        x, y, z = (
            round(at + along * column * across + below * row * down, 2)
            for at, along, below in zip(
                self.instances[n].position_mm, self.orientation[:3], self.orientation[3:], strict=True
            )
        )
        return x, y, z
