"""Slices of the sample to send, as studies that nobody has sent before."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from tests.e2e.test_cli import SAMPLE


def copied(folder: Path, paths: Iterable[Path], **changes: Any) -> Path:
    """These slices as one new study, in the folder; with these attributes."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series = generate_uid(), generate_uid()
    for path in paths:
        ds = pydicom.dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        ds.save_as(folder / path.name)
    return folder


def new_study(folder: Path, **changes: Any) -> Path:
    """A study of one slice: its file."""
    return copied(folder, [SAMPLE / "0020.dcm"], **changes) / "0020.dcm"
