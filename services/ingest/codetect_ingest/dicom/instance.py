"""One file to all that is kept of it: facts, clean files, compressed slices of HU, the identity taken off.

This is what a child runs.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import BinaryIO

from numcodecs import blosc  # type: ignore[import-untyped]
from numcodecs.blosc import Blosc  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from codetect_ingest.dicom.deidentify import Pseudonyms, deidentify
from codetect_ingest.dicom.identity import Attributes, Identity, as_json, identity_of
from codetect_ingest.dicom.multiframe import frames_of
from codetect_ingest.dicom.pixels import hounsfield, stored_values
from codetect_ingest.dicom.reading import numbers, read, tolerant, value
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.report import Report, report
from codetect_ingest.dicom.writing import Written, write

Pair = tuple[float, float]
Vector = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]
blosc.use_threads = False  # what several threads make differs from run to run
SLICE_CODEC = Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE)
STRAIGHT = 1e-2
# fmt: off
SERIES_ATTRIBUTES = (
    "SeriesDate", "Modality", "Manufacturer", "ManufacturerModelName", "BodyPartExamined", "SliceThickness", "KVP",
    "ConvolutionKernel", "PatientPosition", "SeriesNumber", "Laterality",
)
# fmt: on


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
    bits_allocated: int = 16
    pixel_spacing_mm: Pair
    position_mm: Vector
    orientation: Orientation
    slice_thickness_mm: float | None
    sop_class_uid: str = CTImageStorage
    modality: str
    manufacturer: str | None
    convolution_kernel: str | None
    body_part: str | None
    transfer_syntax_uid: str
    sha256: str
    bytes: int


class Facts(BaseModel):
    """What is told of a slice; `header` is where its data set without the image lies in its clean file."""

    instance: Instance
    identity: Identity
    attributes: Attributes
    report: Report
    header: tuple[int, int]


class PreparedSlice(Facts):
    """A slice with its clean DICOM file and its HU."""

    clean: bytes
    hu: bytes


def prepare(source: bytes | BinaryIO, pseudonyms: Pseudonyms) -> Iterator[PreparedSlice]:
    """Check, decode and de-identify one file: yield its slice, or one after the other where it holds several frames.

    Raises `Refused`, also after some of them, or MemoryError under a limit.
    """
    with tolerant():
        for ds in frames_of(read(source)):
            yield _slice(ds, pseudonyms)


def _slice(ds: Dataset, pseudonyms: Pseudonyms) -> PreparedSlice:
    geometry = _geometry(ds)
    stored = stored_values(ds)
    hu = SLICE_CODEC.encode(hounsfield(stored, ds))
    clean = deidentify(ds, stored, pseudonyms)
    written = write(clean)
    return PreparedSlice(
        instance=_instance(clean, geometry, written),
        identity=identity_of(ds),
        attributes=as_json(clean, SERIES_ATTRIBUTES),
        report=report(ds, clean),
        header=(written.header_start, written.header_end),
        clean=written.data,
        hu=hu,
    )


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


def _instance(clean: Dataset, geometry: tuple[Pair, Vector, Orientation], written: Written) -> Instance:
    spacing, position, orientation = geometry
    return Instance(
        patient_id=value(clean, "PatientID"),
        study_instance_uid=value(clean, "StudyInstanceUID"),
        series_instance_uid=value(clean, "SeriesInstanceUID"),
        sop_instance_uid=value(clean, "SOPInstanceUID"),
        frame_of_reference_uid=value(clean, "FrameOfReferenceUID"),
        study_date=value(clean, "StudyDate") or None,
        instance_number=value(clean, "InstanceNumber"),
        rows=value(clean, "Rows"),
        columns=value(clean, "Columns"),
        bits_allocated=value(clean, "BitsAllocated"),
        pixel_spacing_mm=spacing,
        position_mm=position,
        orientation=orientation,
        slice_thickness_mm=value(clean, "SliceThickness"),
        sop_class_uid=value(clean, "SOPClassUID"),
        modality=value(clean, "Modality"),
        manufacturer=value(clean, "Manufacturer") or None,
        convolution_kernel=value(clean, "ConvolutionKernel"),
        body_part=value(clean, "BodyPartExamined"),
        transfer_syntax_uid=value(clean.file_meta, "TransferSyntaxUID"),
        sha256=hashlib.sha256(written.data).hexdigest(),
        bytes=len(written.data),
    )
