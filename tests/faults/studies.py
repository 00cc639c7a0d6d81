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
    """A study of a patient of its own; neighbouring slices around the lungs' middle."""
    start = (len(SAMPLE) - slices) // 2
    return study_of(SAMPLE[start : start + slices])


def long_study(slices: int) -> list[bytes]:
    """One that takes long: lungs that don't end, their middle up and down again and again, every slice of them read."""
    middle = len(SAMPLE) // 2
    return study_of([SAMPLE[middle - 5 + abs(place % 20 - 10)] for place in range(slices)])


def study_of(paths: list[Path]) -> list[bytes]:
    """These slices, one above the other, under new UIDs."""
    study, series, number = generate_uid(), generate_uid(), next(_numbers)
    files = []
    for height, path in enumerate(paths):
        instance = dcmread(path)
        instance.ImagePositionPatient[2] = -height * SPACING_MM
        instance.StudyInstanceUID, instance.SeriesInstanceUID = study, series
        instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        instance.PatientID = f"FAULT-{number}"
        buffer = io.BytesIO()
        instance.save_as(buffer)
        files.append(buffer.getvalue())
    return files
