"""Small CT studies for evaluation: slices of the real sample, shrunk, under names of their own."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.preprocess import HU, shrink
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.inference.samples import ROOT, read_slice

SAMPLE = sorted((ROOT / "tests/data/lidc-idri-0001").glob("*.dcm"))[::-1]  # feet to head


@cache
def small(number: int) -> HU:
    """A slice of the sample at a quarter of its side, in HU."""
    return shrink(read_slice(SAMPLE[number]), 4)


def write_study(folder: Path, name: str, numbers: list[int], **changes: Any) -> Path:
    """A study `name` of one series with these slices of the sample; returns its folder."""
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    for at, number in enumerate(numbers):
        write_slice(place / f"{number:03}", small(number), f"2.25.{name}", at, **changes)
    return place


def write_slice(path: Path, hu: HU, uid: str, at: int, **changes: Any) -> None:
    """One CT slice; `uid` is its study's, the series' adds .1, the instance's its number."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, f"{uid}.1.{at + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid, f"{uid}.1"
    ds.PatientID, ds.Modality, ds.ImageType = f"P{uid}", "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = hu.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.PixelSpacing, ds.SliceThickness = [2.8, 2.8], 2.5
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 7.5 * at]
    ds.PixelData = np.ascontiguousarray(hu, "<i2").tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
