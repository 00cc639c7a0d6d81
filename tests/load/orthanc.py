"""Orthanc as the baseline of imports: its own STOW-RS (`orthanc`, `orthanc-dicomweb`), if it is there."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from codetect_local.ports import free_block

PARALLEL = 4
BATCH = 10


@contextmanager
def fresh(**more: Any) -> Iterator[httpx.Client | None]:
    """A client of a fresh Orthanc; None when it isn't installed. `more` are settings of its own."""
    binary, plugin = shutil.which("Orthanc"), Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
    if binary is None or not plugin.exists():
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        port = free_block()
        config = Path(place) / "orthanc.json"
        settings = {"StorageDirectory": f"{place}/db", "IndexDirectory": f"{place}/db", "HttpPort": port}
        rest = {"DicomServerEnabled": False, "Plugins": [str(plugin)], "DicomWeb": {"Enable": True}}
        config.write_text(json.dumps(settings | rest | {"AuthenticationEnabled": False} | more))
        process = subprocess.Popen([binary, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                wait_for(client)
                yield client
        finally:
            process.terminate()
            process.wait()


def store(client: httpx.Client, folder: Path) -> float:
    """Store a folder by STOW-RS; the seconds it took."""
    files = sorted(folder.glob("*.dcm"))
    bodies = [multipart([path.read_bytes() for path in files[at : at + BATCH]]) for at in range(0, len(files), BATCH)]

    def post(body: bytes) -> None:
        kind = 'multipart/related; type="application/dicom"; boundary=codetect'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        client.post("/dicom-web/studies", content=body, headers=headers).raise_for_status()

    began = time.monotonic()
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(post, bodies))
    seconds = time.monotonic() - began
    stored = client.get("/statistics").json()["CountInstances"]
    assert stored == len(files), f"Orthanc stored {stored} of {len(files)}"
    return seconds


def stow_instances_per_s(folder: Path) -> float | None:
    """Instances a second that a fresh Orthanc stores; None when it isn't installed."""
    with fresh() as client:
        return len(list(folder.glob("*.dcm"))) / store(client, folder) if client else None


def wait_for(client: httpx.Client) -> None:
    """Until it answers, 30 s at most."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            client.get("/system").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise TimeoutError("Orthanc did not start")


def multipart(parts: list[bytes]) -> bytes:
    """A STOW-RS body (PS3.18 section 8.6.1.2.1)."""
    head = b"--codetect\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--codetect--\r\n"
