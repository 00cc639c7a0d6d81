"""The whole stack as its users meet it: import, the ways between the rooms, standing idle, starting.

    python -m tests.load.bench_stack

prints JSON lines (name, value, unit, baseline, ratio). The stack has servers, ports and a folder of its own. The series
is the whole LIDC-IDRI-0001 where CODETECT_DATA has it, else the bundled sample.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psutil
from codetect import Client
from codetect.credentials import ApiClient
from codetect_local.demo import SAMPLE, Demo
from codetect_local.settings import ROOT
from codetect_local.stack import Stack
from codetect_shared import bus, topology
from pydantic import SecretStr

from tests.infrastructure import clear, settings_apart
from tests.load import orthanc, stow

Row = dict[str, Any]
Frames = dict[tuple[str, str], tuple[float, float]]
IDLE_S = 30
SHORT_STUDIES = 10
IMPORTS = 3
LINE_BYTES_PER_S = 100e6 / 8


def main() -> None:
    """All figures of this file, one a line."""
    with tempfile.TemporaryDirectory(prefix="codetect-bench-") as folder:
        Path(folder).chmod(0o755)
        stack = Stack(settings_apart(Path(folder) / "state"))
        try:
            for row in measure(stack):
                print(json.dumps(row), flush=True)
        finally:
            clear(stack)


def measure(stack: Stack) -> Iterator[Row]:
    """One stack, from its first start to its last study."""
    yield {"name": "up_cold", "value": took(stack.up), "unit": "s"}
    demo = Demo(stack)
    asyncio.run(demo.open_facility())
    demo.publish_models()
    stack.down()
    yield {"name": "up_warm", "value": took(stack.up), "unit": "s", "target": 20}
    time.sleep(15)
    yield from idle(stack)
    yield from asyncio.run(studies(stack, demo))


def took(up: Any) -> float:
    """Seconds until all is ready."""
    began = time.monotonic()
    asyncio.run(up())
    return round(time.monotonic() - began, 1)


def idle(stack: Stack) -> Iterator[Row]:
    """Memory (PSS: shared pages count once) and CPU of every process, with nothing to do."""
    root = psutil.Process(stack.supervisor.pid())
    processes = [root, *root.children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in processes)
    time.sleep(IDLE_S)
    after = sum(sum(p.cpu_times()[:2]) for p in processes if p.is_running())
    memory = sum(p.memory_full_info().pss for p in processes if p.is_running())
    yield {"name": "idle_memory", "value": round(memory / 2**20), "unit": "MiB", "target": 1536}
    yield {"name": "idle_cpu", "value": round((after - before) / IDLE_S * 100, 1), "unit": "% of one core", "target": 3}


async def studies(stack: Stack, demo: Demo) -> list[Row]:
    """Submit single slices to an idle stack, then the whole series."""
    client = demo.known["api_client"]
    credentials = ApiClient(client["client_id"], client["client_secret"])
    async with Client(demo.known["url"], credentials) as here:
        frames: Frames = {}
        listening = asyncio.create_task(listen(here, frames))
        await asyncio.sleep(1)
        rows = [await single_slices(here, frames, SecretStr(stack.environment()["CODETECT_RABBITMQ_URL"]))]
        rows += await imports(here, frames, demo)
        listening.cancel()
        await asyncio.wait([listening])
        pushed = sorted((seen - told) * 1000 for told, seen in frames.values())
        rows += [
            {
                "name": f"event_to_websocket_{name}",
                "value": round(quantile(pushed, q), 1),
                "unit": "ms",
                "target": target,
            }
            for name, q, target in (("p50", 0.5, 50), ("p99", 0.99, 250))
        ]
        return rows


async def listen(client: Client, frames: Frames) -> None:
    """Note for each event when it was told and when its frame came."""
    async with aclosing(client.watch()) as events:
        async for event in events:
            if event.type.startswith("codetect."):
                aggregate = str(
                    event.data.get("analysis_id") or event.data.get("study_id") or event.data.get("upload_id")
                )
                frames[event.type, aggregate] = (event.time.timestamp(), time.time())


async def single_slices(client: Client, frames: Frames, broker: SecretStr) -> Row:
    """From StudyReceived to AnalysisStarted with nothing else to do, beside a round trip through the broker."""
    waits = []
    middle = sorted(SAMPLE.glob("*.dcm"))[10 : 10 + SHORT_STUDIES]
    for path in middle:
        submission = await client.submit([path], timeout_s=120)
        (study,) = submission.studies
        analysis = study.analyses[0]
        await asyncio.sleep(0.5)
        received = frames["codetect.study.received.v1", str(study.study_id)][0]
        waits.append((frames["codetect.analysis.started.v1", str(analysis.analysis_id)][0] - received) * 1000)
    trip = await round_trip_ms(broker)
    value = round(statistics.median(waits), 1)
    row: Row = {"name": "received_to_started_p50", "value": value, "unit": "ms", "target": 100}
    return row | {"baseline": round(trip, 1), "ratio": round(value / trip, 1)}


async def round_trip_ms(url: SecretStr) -> float:
    """Publish to a quorum queue with a confirm, and get it: the median of 50."""
    trips = []
    async with bus.connect(url, "bench") as connection:
        channel = await connection.channel()
        exchange = await topology.declare(channel)
        queue = await channel.declare_queue("bench", durable=True, arguments={"x-queue-type": "quorum"})
        looks = bus.Subscription(channel, queue)
        await looks.open()
        for number in range(50):
            began = time.perf_counter()
            await bus.publish_all(channel, exchange, [("bench", "", bus.look(str(number)))])
            await (await looks.get(5)).ack()
            trips.append((time.perf_counter() - began) * 1000)
        await looks.pause()
        await queue.delete(if_unused=False, if_empty=False)
    return statistics.median(trips)


async def imports(client: Client, frames: Frames, demo: Demo) -> list[Row]:
    """Instances a second from `complete` to StudyReceived, and by STOW-RS, beside Orthanc taking the same files.

    Each time under UIDs of their own, as Orthanc sees them for the first time, too. Sent as fast as it goes, which
    takes both cores, and as fast as a hospital's line of 100 Mbit/s lets them through, beside which they are read.
    """
    series = Path(os.environ.get("CODETECT_DATA", ROOT.parent / "shared/data")) / "dicom/lidc-idri-0001"
    folder = series if series.is_dir() else SAMPLE
    count = len(list(folder.glob("*.dcm")))
    at_once = [await import_s(client, frames, stow.renamed(folder)) for _ in range(IMPORTS)]
    paced = [await import_s(client, frames, stow.renamed(folder), LINE_BYTES_PER_S) for _ in range(IMPORTS)]
    credentials = (demo.known["api_client"]["client_id"], demo.known["api_client"]["client_secret"])
    stored = [
        await asyncio.to_thread(stow.stow_instances_per_s, folder, demo.known["url"], credentials)
        for _ in range(IMPORTS)
    ]
    baselines = [await asyncio.to_thread(orthanc.stow_instances_per_s, folder) for _ in range(IMPORTS)]
    baseline = None if None in baselines else statistics.median(one for one in baselines if one)
    rates = {
        "import": count / statistics.median(at_once),
        "import_after_100_mbit": count / statistics.median(paced),
        "stow": statistics.median(stored),
    }
    rows: list[Row] = []
    for name, rate in rates.items():
        row: Row = {"name": f"{name}_instances_per_s", "value": round(rate, 1), "unit": f"instances/s ({count} slices)"}
        if baseline is None:
            rows.append(row | {"baseline": None, "note": "Orthanc is not installed"})
        else:
            rows.append(row | {"baseline": round(baseline, 1), "ratio": round(rate / baseline, 2)})
    return rows


async def import_s(client: Client, frames: Frames, files: list[bytes], bytes_per_s: float | None = None) -> float:
    """Seconds from `complete` to StudyReceived, as told to a client, of files posted four at a time, at this rate."""
    upload = (await client.api.request("POST", "/api/v1/uploads", json={})).json()
    waiting, began, sent = iter(enumerate(files, 1)), time.monotonic(), 0

    async def post(store: httpx.AsyncClient) -> None:
        nonlocal sent
        for number, body in waiting:
            sent += len(body)
            fields = {**upload["post"]["fields"], "key": f"{upload['key_prefix']}{number:06}"}
            answer = await store.post(upload["post"]["url"], data=fields, files={"file": ("x", body)})
            answer.raise_for_status()
            if bytes_per_s:
                await asyncio.sleep(max(0, began + sent / bytes_per_s - time.monotonic()))

    async with httpx.AsyncClient(timeout=60, trust_env=False) as store, asyncio.TaskGroup() as lanes:
        for _ in range(orthanc.PARALLEL):
            lanes.create_task(post(store))
    await client.complete(UUID(upload["id"]), file_count=len(files), total_bytes=sum(map(len, files)))
    while (shown := await client.upload(UUID(upload["id"]))).state == "importing":
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.5)
    assert shown.completed_at is not None
    (study,) = shown.studies
    seen = frames["codetect.study.received.v1", str(study.study_id)][1]
    return seen - shown.completed_at.timestamp()


def quantile(ordered: list[float], q: float) -> float:
    """The q-quantile of sorted values."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
