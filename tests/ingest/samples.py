"""CT slices to test with: the bundled sample, small ones made here, and the big data where it lies."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests/data/lidc-idri-0001"
BIG = Path(os.environ.get("CODETECT_DATA", ROOT.parent / "shared/data")).resolve()
KEY = b"a facility's key, 32 bytes long."


def big(path: str) -> Path:
    """A path in the big data; the test is skipped where it isn't there."""
    if not (BIG / path).exists():
        pytest.skip(f"needs {path} of the big data: set CODETECT_DATA")
    return BIG / path


def ct(size: int = 16, /, **changes: Any) -> Dataset:
    """A small sound axial CT slice; `changes` by keyword, None removes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.Modality = CTImageStorage, "CT"
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3.1", "1.2.3", "1.2.3.0"
    ds.FrameOfReferenceUID = "1.2.3.9"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientID, ds.PatientName, ds.PatientBirthDate, ds.StudyDate = (
        "MRN0815",
        "Mustermann^Erika",
        "19640812",
        "20200301",
    )
    ds.InstanceNumber, ds.SliceThickness, ds.ConvolutionKernel, ds.Manufacturer = 1, 1.0, "LUNG", "MAKER"
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-100, -100, 0], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.Rows, ds.Columns = [0.7, 0.7], size, size
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
    ds.PixelData = np.arange(size * size, dtype="<i2").tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def written(ds: Dataset) -> bytes:
    """The file's bytes."""
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
