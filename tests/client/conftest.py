"""A double of the server, this user's folders in a place apart, and small files to submit."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from codetect import ApiClient, Client
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.client.double import CLIENT_ID, CLIENT_SECRET, Double, serving

STUDY_UID = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    async with serving() as double:
        yield double


@pytest.fixture
async def client(double: Double) -> AsyncIterator[Client]:
    async with Client(double.url, ApiClient(CLIENT_ID, CLIENT_SECRET), patience_s=5) as client:
        yield client


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration and state of the user this test is; no credentials, and no demo above the folder."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("HOME", str(home))
    for name in ("CODETECT_CLIENT_ID", "CODETECT_CLIENT_SECRET", "CODETECT_FACILITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of five small slices in a folder."""
    folder = tmp_path / "study"
    folder.mkdir()
    for number in range(5):
        dicom(folder / f"Doe^John {number}.dcm", f"{STUDY_UID}.{number}")
    return folder


def dicom(path: Path, sop_instance_uid: str, study_instance_uid: str = STUDY_UID, size: int = 3000) -> Path:
    """A file with the identifiers of a CT slice and `size` bytes of noise; enough for a client."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = sop_instance_uid
    ds.StudyInstanceUID = study_instance_uid
    ds.add_new(0x7FE00010, "OW", sop_instance_uid.encode().ljust(size, b"\0"))
    ds.save_as(path, enforce_file_format=True)
    return path
