"""One file to all that is kept of it: facts, a clean file, a compressed slice of HU. This is what a child runs."""

import hashlib
import math

from numcodecs.blosc import Blosc  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset

from codetect_ingest.dicom.deidentify import Pseudonyms, deidentify, encode
from codetect_ingest.dicom.pixels import hounsfield, stored_values
from codetect_ingest.dicom.reading import numbers, read, tolerant
from codetect_ingest.dicom.refusals import Refusal, Refused

Pair = tuple[float, float]
Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]
SLICE_CODEC = Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)
STRAIGHT = 1e-2


class Instance(BaseModel):
    """What is known of a slice once its identity is gone; lengths in mm, directions in the patient's axes (LPS)."""

    model_config = ConfigDict(frozen=True)

    patient_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frame_of_reference_uid: str
    study_date: str | None
    instance_number: int | None
    rows: int
    columns: int
    pixel_spacing_mm: Pair
    position_mm: Vector
    orientation: Orientation
    slice_thickness_mm: float | None
    modality: str
    manufacturer: str | None
    convolution_kernel: str | None
    body_part: str | None
    transfer_syntax_uid: str
    sha256: str
    bytes: int


class Prepared(BaseModel):
    """An instance with its clean DICOM file and its slice of the prepared volume."""

    instance: Instance
    clean: bytes
    hu: bytes


@tolerant()
def prepare(data: bytes, pseudonyms: Pseudonyms) -> Prepared:
    """Check, decode and de-identify one file. Raises `Refused`, or MemoryError under a limit."""
    ds = read(data)
    geometry = _geometry(ds)
    stored = stored_values(ds)
    hu = SLICE_CODEC.encode(hounsfield(stored, ds))
    clean = deidentify(ds, stored, pseudonyms)
    encoded = encode(clean)
    return Prepared(instance=_instance(clean, geometry, encoded), clean=encoded, hu=hu)


def _geometry(ds: Dataset) -> tuple[Pair, Vector, Orientation]:
    """Return pixel spacing, position and orientation; `NO_GEOMETRY` unless the directions are a right angle."""
    spacing_row, spacing_column = numbers(ds, "PixelSpacing", 2)
    x, y, z = numbers(ds, "ImagePositionPatient", 3)
    a, b, c, d, e, f = numbers(ds, "ImageOrientationPatient", 6)
    row, column = (a, b, c), (d, e, f)
    angle = sum(r * c for r, c in zip(row, column, strict=True))
    off = max(abs(math.hypot(*row) - 1), abs(math.hypot(*column) - 1), abs(angle))
    if min(spacing_row, spacing_column) <= 0 or off > STRAIGHT:
        raise Refused(Refusal.NO_GEOMETRY)
    return (spacing_row, spacing_column), (x, y, z), (*row, *column)


def _instance(clean: Dataset, geometry: tuple[Pair, Vector, Orientation], encoded: bytes) -> Instance:
    spacing, position, orientation = geometry
    return Instance(
        patient_id=clean.PatientID,
        study_instance_uid=clean.StudyInstanceUID,
        series_instance_uid=clean.SeriesInstanceUID,
        sop_instance_uid=clean.SOPInstanceUID,
        frame_of_reference_uid=clean.FrameOfReferenceUID,
        study_date=clean.StudyDate or None,
        instance_number=clean.InstanceNumber,
        rows=clean.Rows,
        columns=clean.Columns,
        pixel_spacing_mm=spacing,
        position_mm=position,
        orientation=orientation,
        slice_thickness_mm=clean.SliceThickness,
        modality=clean.Modality,
        manufacturer=clean.Manufacturer or None,
        convolution_kernel=clean.get("ConvolutionKernel"),
        body_part=clean.get("BodyPartExamined"),
        transfer_syntax_uid=clean.file_meta.TransferSyntaxUID,
        sha256=hashlib.sha256(encoded).hexdigest(),
        bytes=len(encoded),
    )
