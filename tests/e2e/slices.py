"""Slices to send."""

from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

from tests.e2e.test_cli import SAMPLE


def new_study(folder: Path, **changes: str) -> Path:
    """A slice that nobody has sent before; with these attributes."""
    ds = pydicom.dcmread(SAMPLE / "0020.dcm")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.save_as(folder / "new.dcm")
    return folder / "new.dcm"
