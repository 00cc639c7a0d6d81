"""CT slices to test with: the bundled sample, small ones made here, and the big data where it lies."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests/data/lidc-idri-0001"
BIG = Path(os.environ.get("CODETECT_DATA", ROOT.parent / "shared/data")).resolve()
FLAT = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept")
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


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def images(frames: int, size: int = 16) -> np.ndarray:
    return np.arange(frames * size * size, dtype="<i2").reshape(frames, size, size) % 3000


def enhanced(frames: int = 3, size: int = 16, /, **changes: object) -> Dataset:
    """A sound Enhanced CT: geometry and kernel in functional groups, identity once for all."""
    ds = ct(size, SOPClassUID=uid.EnhancedCTImageStorage, NumberOfFrames=frames, InstanceNumber=1)
    for keyword in (*FLAT, "ConvolutionKernel", "SliceThickness"):
        delattr(ds, keyword)
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.7], SliceThickness=2.5)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")],
        CTReconstructionSequence=[item(ConvolutionKernel="B70f", ReconstructionDiameter=350)],
        CTExposureSequence=[item(ExposureTimeInms=500.0, XRayTubeCurrentInmA=120.0)],
        CTImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])],
        FrameAnatomySequence=[item(AnatomicRegionSequence=[item(CodeValue="51185008", CodeMeaning="Chest")])],
    )
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[-100, -100, 2.5 * n])],
            FrameContentSequence=[
                item(FrameAcquisitionDateTime=f"20200301101{n % 10}30.5-0500", FrameAcquisitionNumber=7)
            ],
        )
        for n in range(frames)
    ]
    ds.PixelData = images(frames, size).tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def streams(frames: np.ndarray, syntax: uid.UID = uid.RLELossless) -> list[bytes]:
    """Each frame by itself, compressed."""
    made = []
    for frame in frames:
        single = ct(frame.shape[0], PixelData=frame.tobytes())
        single.compress(syntax, generate_instance_uid=False)
        made.append(next(generate_frames(single.PixelData, number_of_frames=1)))
    return made


def written(ds: Dataset) -> bytes:
    """The file's bytes."""
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
