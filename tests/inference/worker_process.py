"""A real worker process, and what memory it takes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil

from tests.infrastructure import Infrastructure


@asynccontextmanager
async def worker_process(infra: Infrastructure, folder: Path) -> AsyncIterator[psutil.Process]:
    """A real worker, ready."""
    port = int(infra.environment["CODETECT_INFERENCE_PORT"]) + 1
    own = {"CODETECT_INFERENCE_PORT": str(port), "CODETECT_INFERENCE_MODEL_CACHE": str(folder / "models")}
    log = (folder / "worker.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "codetect_inference", "worker", env=os.environ | infra.environment | own, stdout=log
    )
    try:
        async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
            while not await is_ready(client, port):
                await asyncio.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def is_ready(client: httpx.AsyncClient, port: int) -> bool:
    """Whether the worker says so."""
    try:
        return (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success
    except httpx.HTTPError:
        return False


def forget_peak(process: psutil.Process) -> None:
    """Measure the high-water mark from now on."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def high_water(process: psutil.Process) -> int:
    """Most resident bytes a process ever had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
