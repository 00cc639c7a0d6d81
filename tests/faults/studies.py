"""Small real studies without end: slices of the sample CT under new UIDs."""

import io
import itertools
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

SAMPLE = sorted((Path(__file__).parents[1] / "data/lidc-idri-0001").glob("*.dcm"))
SPACING_MM = 7.5
_numbers = itertools.count()


def new_study(slices: int = 3) -> list[bytes]:
    """A study of a patient of its own; neighbouring slices around the lungs' middle, again and again when many."""
    study, series, number = generate_uid(), generate_uid(), next(_numbers)
    files = []
    start = max(0, (len(SAMPLE) - slices) // 2)
    for height in range(slices):
        instance = dcmread(SAMPLE[(start + height) % len(SAMPLE)])
        instance.ImagePositionPatient[2] = -height * SPACING_MM
        instance.StudyInstanceUID, instance.SeriesInstanceUID = study, series
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        instance.PatientID = f"FAULT-{number}"
        buffer = io.BytesIO()
        instance.save_as(buffer)
        files.append(buffer.getvalue())
    return files
