"""WADO-RS: a series retrieved, beside Orthanc giving the same one; and the memory that two thousand slices take.

    python -m tests.load.bench_wado

prints JSON lines (name, value, unit, baseline, ratio). The series is the whole LIDC-IDRI-0001 where CODETECT_DATA has
it, else the bundled sample. The client is a process of its own, for either server.
"""

import asyncio
import http.client
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pydicom
import uvloop
from codetect_ingest.app import api
from codetect_ingest.children import Children
from codetect_ingest.importer import Importer
from codetect_ingest.models import UPLOADS
from codetect_ingest.settings import Settings
from codetect_shared.testing import Tokens, claimed, running

from tests.infrastructure import infrastructure
from tests.ingest.conftest import Clinic
from tests.ingest.dicomweb import Web, listening
from tests.ingest.samples import BIG, SAMPLE
from tests.load import orthanc

REPEATS, MANY = 7, 2000
ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def fetch(url: str, headers: dict[str, str]) -> tuple[float, int]:
    """Read an answer and throw it away: seconds, bytes."""
    place = urlsplit(url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(place.netloc, timeout=120)
    connection.request("GET", place.path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    buffer, size = bytearray(1 << 20), 0
    while read := answer.readinto(buffer):
        size += read
    connection.close()
    return time.perf_counter() - began, size


async def timed(pool: ProcessPoolExecutor, url: str, headers: dict[str, str]) -> tuple[float, int]:
    """The median of some retrievals, and the size of one."""
    loop = asyncio.get_running_loop()
    found = [await loop.run_in_executor(pool, fetch, url, headers) for _ in range(REPEATS)]
    return statistics.median(seconds for seconds, _ in found[1:]), found[0][1]


def told(name: str, ours: float, theirs: float | None, count: int) -> None:
    """Print instances a second beside Orthanc's."""
    row: dict[str, Any] = {"name": name, "value": round(count / ours), "unit": f"instances/s ({count} slices)"}
    if theirs is not None:
        row |= {"baseline": round(count / theirs), "ratio": round(theirs / ours, 2)}
    print(json.dumps(row), flush=True)


async def bench() -> None:
    """Import, retrieve from either, print."""
    folder = BIG / "dicom/lidc-idri-0001" if (BIG / "dicom/lidc-idri-0001").is_dir() else SAMPLE
    files = sorted(folder.glob("*.dcm"))
    with tempfile.TemporaryDirectory(prefix="codetect-wado-") as place:
        Path(place).chmod(0o755)
        async with infrastructure(Path(place)) as infra:
            os.environ.update(infra.environment)
            await infra.migrate("ingest")
            settings, tokens = Settings(), Tokens()
            app = api(settings)
            spawning = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawning) as pool:
                async with running(app, tokens) as http_client, listening(app) as url:
                    web = Web(Clinic(http_client, app.state.ingest, tokens), url)
                    await bring(web, settings, files)
                    with orthanc.fresh() as theirs:
                        if theirs:
                            orthanc.store(theirs, folder)
                        await compare(pool, web, theirs, pydicom.dcmread(files[0], stop_before_pixels=True), len(files))
                    await many(pool, web)


async def bring(web: Web, settings: Settings, files: list[Path]) -> None:
    """Import the series."""
    children = Children(2)
    await web.clinic.submit(path.read_bytes() for path in files)
    job = await claimed(UPLOADS, web.clinic.ingest.db)
    await Importer(settings, web.clinic.ingest.db, web.clinic.ingest.storage, children).run(job)
    children.close()


async def compare(pool: ProcessPoolExecutor, web: Web, theirs: httpx.Client | None, ds: Any, count: int) -> None:
    """The series' files and its metadata, in either view and from Orthanc."""
    original = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    (series,) = await web.found("/series")
    pseudonymous = series["00081190"]["Value"][0]
    for what, accept in (("", ANY), ("/metadata", "application/dicom+json")):
        baseline = None
        if theirs:
            url = f"{str(theirs.base_url).rstrip('/')}/dicom-web{original}{what}"
            baseline, _ = await timed(pool, url, {"Accept": accept})
        name = "wado_metadata" if what else "wado_series"
        seeing = web.seeing_identities()
        for view, url, headers in (
            ("pseudonymous", pseudonymous, web.headers),
            ("original", f"{web.url}/dicomweb{original}", seeing.headers),
        ):
            ours, _ = await timed(pool, f"{url}{what}", headers | {"Accept": accept})
            told(f"{name}_{view}", ours, baseline, count)


async def many(pool: ProcessPoolExecutor, web: Web) -> None:
    """Two thousand slices in one series: how much more memory the service takes while it gives them."""
    await web.clinic.sql(
        "INSERT INTO instances (series_id, sop_instance_uid, facility_id, study_id, upload_id, sop_class_uid,"
        ' transfer_syntax_uid, instance_number, index, bucket, key, "offset", length, header_offset, header_length,'
        " source, facts) SELECT series_id, sop_instance_uid || '.' || n, facility_id, study_id, upload_id,"
        ' sop_class_uid, transfer_syntax_uid, instance_number, index, bucket, key, "offset", length, header_offset,'
        " header_length, source, facts FROM instances, generate_series(1, 20) n WHERE facility_id = :f LIMIT :more",
        f=web.clinic.facility_id,
        more=MANY - len(await web.found("/instances")),
    )
    (series,) = await web.found("/series")
    url, process = series["00081190"]["Value"][0], psutil.Process()
    await timed(pool, url, web.headers)
    before, peak = process.memory_info().rss, 0
    retrieving = asyncio.create_task(timed(pool, url, web.headers))
    while not retrieving.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.02)
    seconds, size = await retrieving
    row = {"name": "wado_memory", "value": round((peak - before) / 2**20), "unit": f"MiB more for {size // 2**20} MiB"}
    print(json.dumps(row | {"mib_per_s": round(size / 2**20 / seconds)}), flush=True)


if __name__ == "__main__":
    uvloop.run(bench())  # the loop that uvicorn runs the service on
