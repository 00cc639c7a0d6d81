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
IDLE_S = 30
SHORT_STUDIES = 10
IMPORTS = 3


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
        frames: dict[tuple[str, str], tuple[float, float]] = {}
        listening = asyncio.create_task(listen(here, frames))
        await asyncio.sleep(1)
        rows = [await single_slices(here, frames, SecretStr(stack.environment()["CODETECT_RABBITMQ_URL"]))]
        rows += await imports(here, demo)
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


async def listen(client: Client, frames: dict[tuple[str, str], tuple[float, float]]) -> None:
    """Note for each event when it was told and when its frame came."""
    async with aclosing(client.watch()) as events:
        async for event in events:
            if event.type.startswith("codetect."):
                aggregate = str(
                    event.data.get("analysis_id") or event.data.get("study_id") or event.data.get("upload_id")
                )
                frames[event.type, aggregate] = (event.time.timestamp(), time.time())


async def single_slices(client: Client, frames: dict[tuple[str, str], tuple[float, float]], broker: SecretStr) -> Row:
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


async def imports(client: Client, demo: Demo) -> list[Row]:
    """Instances a second from `complete` to StudyReceived, and by STOW-RS, beside Orthanc taking the same files."""
    series = Path(os.environ.get("CODETECT_DATA", ROOT.parent / "shared/data")) / "dicom/lidc-idri-0001"
    folder = series if series.is_dir() else SAMPLE
    count = len(list(folder.glob("*.dcm")))
    rates = []
    for _ in range(IMPORTS):
        submission = await client.submit([folder], timeout_s=600)
        timings = submission.studies[0].analyses[-1].timings
        rates.append(count / (timings.import_ms / 1000))
    value = round(statistics.median(rates), 1)
    credentials = (demo.known["api_client"]["client_id"], demo.known["api_client"]["client_secret"])
    stored = [
        await asyncio.to_thread(stow.stow_instances_per_s, folder, demo.known["url"], credentials)
        for _ in range(IMPORTS)
    ]
    baseline = await asyncio.to_thread(orthanc.stow_instances_per_s, folder)
    rows: list[Row] = []
    for name, rate in (("import", value), ("stow", round(statistics.median(stored), 1))):
        row: Row = {"name": f"{name}_instances_per_s", "value": rate, "unit": f"instances/s ({count} slices)"}
        if baseline is None:
            rows.append(row | {"baseline": None, "note": "Orthanc is not installed"})
        else:
            rows.append(row | {"baseline": round(baseline, 1), "ratio": round(rate / baseline, 2)})
    return rows


def quantile(ordered: list[float], q: float) -> float:
    """The q-quantile of sorted values."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


if __name__ == "__main__":
    sys.exit(main())
