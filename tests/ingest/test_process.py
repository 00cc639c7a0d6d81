"""The importer as a process: woken through the broker, its events out through the relay."""

import asyncio
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest

from tests.ingest.conftest import Clinic
from tests.ingest.processes import resident
from tests.ingest.samples import SAMPLE, big
from tests.ingest.test_importer import bodies, slices


@asynccontextmanager
async def process(environment: Mapping[str, str], port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """`python -m codetect_ingest importer`, ready."""
    own = {**os.environ, **environment, "CODETECT_INGEST_PORT": str(port)}
    running = subprocess.Popen([sys.executable, "-m", "codetect_ingest", "importer"], env=own)
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                        break
                except httpx.HTTPError:
                    await asyncio.sleep(0.1)
        yield running
    finally:
        running.terminate()
        await asyncio.to_thread(running.wait, 25)


@pytest.fixture
def port(environment: Mapping[str, str]) -> int:
    return int(environment["CODETECT_INGEST_PORT"]) + 50


async def finished(clinic: Clinic, upload: Mapping[str, Any], within_s: float = 120) -> dict[str, Any]:
    async with asyncio.timeout(within_s):
        while (shown := await clinic.show(upload))["state"] == "importing":
            await asyncio.sleep(0.1)
    return shown


async def test_a_completed_upload_is_imported_at_once(
    clinic: Clinic, environment: Mapping[str, str], port: int
) -> None:
    async with process(environment, port):
        await finished(clinic, await clinic.submit(bodies(slices(2))))
        started = time.monotonic()
        shown = await finished(clinic, await clinic.submit(bodies(slices(2))))
        assert shown["state"] == "done"
        assert time.monotonic() - started < 10


async def test_an_importer_killed_in_mid_run_loses_nothing(
    clinic: Clinic, environment: Mapping[str, str], port: int
) -> None:
    upload = await clinic.submit(path.read_bytes() for path in SAMPLE.glob("*.dcm"))
    async with process(environment, port) as first:
        async with asyncio.timeout(60):
            while (await clinic.show(upload))["files_done"] == 0:
                await asyncio.sleep(0.05)
        readers = psutil.Process(first.pid).children(recursive=True)
        first.send_signal(signal.SIGKILL)
        first.wait(5)
        gone, alive = await asyncio.to_thread(psutil.wait_procs, readers, 12)
        assert alive == []
    async with process(environment, port):
        shown = await finished(clinic, upload)
    assert (shown["state"], shown["studies"][0]["instances"]) == ("done", 45)
    assert len(await clinic.events("study.received")) == 1


async def test_all_malformed_files_in_one_upload_and_the_next_study_is_fine(
    clinic: Clinic, environment: Mapping[str, str], port: int
) -> None:
    with tarfile.open(big("dicom/malformed.tar.gz")) as archive:
        files = [archive.extractfile(m).read() for m in archive if m.name.endswith(".dcm")]  # type: ignore[union-attr]
    assert len(files) == 475
    async with process(environment, port) as running:
        upload = await clinic.submit(files)
        peak = 0
        async with asyncio.timeout(240):
            while (shown := await clinic.show(upload))["state"] == "importing":
                peak = max([peak, *map(resident, psutil.Process(running.pid).children(recursive=True))])
                await asyncio.sleep(0.05)
        assert {f["state"] for f in shown["files"]} <= {"accepted", "refused"}
        assert all(f["code"] and f["detail"] for f in shown["files"] if f["state"] == "refused")
        assert len(shown["files"]) == 475
        assert peak < 512 * 2**20
        assert running.poll() is None
        assert (await finished(clinic, await clinic.submit(bodies(slices(2)))))["state"] == "done"
