"""Tiny data sets that tests write themselves: pictures like none other, a chest of ellipses, DICOM around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from codetect_training.datasets.dataset import Dataset, open_dataset
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

TERMS = {"licence": "none", "use": "tests", "cite": "nobody"}
NOBODY = {"by": "nothing", "because": "drawn by a test"}


def picture(seed: int, change: float = 0) -> NDArray[np.uint8]:
    """A smooth picture unlike those of other seeds; a small `change` makes a near-duplicate."""
    coarse = np.random.default_rng(seed).random((12, 12), np.float32)
    coarse += np.float32(change) * np.random.default_rng(seed + 1_000_000).random((12, 12), np.float32)
    grey = np.asarray(Image.fromarray(coarse).resize((72, 60), Image.Resampling.BICUBIC))
    return (255 * (grey - grey.min()) / np.ptp(grey)).astype(np.uint8)


def save(path: Path, grey: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)
    return path


def folders(root: Path, count: int = 4, first: int = 0, folder: str = "set", **changes: Any) -> dict[str, Any]:
    """A source of `count` pictures per label, all in train."""
    for number, label in enumerate(("covid", "noncovid")):
        for i in range(count):
            save(root / folder / label / f"{label}_{i}.png", picture(first + number * count + i))
    labels = {"covid": "covid", "noncovid": "noncovid"}
    split = {"by": "whole", "split": "train"}
    return {
        "kind": "folders",
        "folder": folder,
        "labels": labels,
        "split": split,
        "patients": NOBODY,
        "terms": TERMS,
        **changes,
    }


def describe(root: Path, sources: dict[str, Any], **changes: Any) -> Path:
    """Write a description of `sources`."""
    content = {"name": "tiny", "title": "For tests", "labels": ["noncovid", "covid"], "sources": sources, **changes}
    path = root / f"{content['name']}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def opened(root: Path, sources: dict[str, Any], side: int = 32, **changes: Any) -> Dataset:
    return open_dataset(describe(root, sources, **changes), root, root / "cache", side)


def chest(side: int = 96) -> NDArray[np.int16]:
    """A slice in HU: a body of water, two lungs with vessels, air around; no two quarters alike."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    hu = np.full((side, side), -1000, np.int16)
    hu[(x / 0.45) ** 2 + (y / 0.33) ** 2 < 1] = 40
    for middle, width in ((-0.2, 0.13), (0.2, 0.15)):
        lung = ((x - middle) / width) ** 2 + ((y - 0.02) / 0.22) ** 2 < 1
        hu[lung] = -820
        hu[lung & ((x - middle) ** 2 + y**2 < 0.001)] = 60
    hu[(x**2 + (y - 0.25) ** 2) < 0.003] = 900
    return hu


def write_dicom(path: Path, hu: NDArray[np.int16], series: str, z: float, **changes: Any) -> None:
    """One CT instance; `changes` set elements."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"{series}.{round(z * 10) + 1000}"
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = f"{series}.9", series, f"P{series[-1]}"
    ds.Modality, ds.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImageOrientationPatient, ds.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, z]
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = *hu.shape, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.RescaleSlope, ds.RescaleIntercept = 15, 1, 1, -24
    ds.PixelData = (hu + 24).astype("<i2").tobytes()
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
