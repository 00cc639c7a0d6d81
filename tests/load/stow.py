"""The same files by STOW-RS, as a PACS sends them: four connections, ten instances a request, HTTP Basic."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pydicom
from pydicom.uid import generate_uid

from tests.load.orthanc import BATCH, PARALLEL, multipart

KIND = 'multipart/related; type="application/dicom"; boundary=codetect'


def stow_instances_per_s(folder: Path, url: str, credentials: tuple[str, str]) -> float:
    """Instances a second until all are stored, through the gateway; the study is one that nobody has seen."""
    files = renamed(folder)
    bodies = [multipart(files[at : at + BATCH]) for at in range(0, len(files), BATCH)]
    place = urlsplit(url)
    base = f"http://127.0.0.1:{place.port}"
    with httpx.Client(base_url=base, headers={"Host": place.netloc}, auth=credentials, timeout=120) as client:

        def store(body: bytes) -> None:
            client.post("/dicomweb/studies", content=body, headers={"Content-Type": KIND}).raise_for_status()

        began = time.monotonic()
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(store, bodies))
        return len(files) / (time.monotonic() - began)


def renamed(folder: Path) -> list[bytes]:
    """The series' files under UIDs of their own: what is known already would cost nothing."""
    study, series, files = generate_uid(), generate_uid(), []
    for path in sorted(folder.glob("*.dcm")):
        ds = pydicom.dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        buffer = BytesIO()
        ds.save_as(buffer)
        files.append(buffer.getvalue())
    return files
