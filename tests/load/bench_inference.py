"""How fast studies become committed results, beside a bare loop over the model, and what memory a worker takes for it.

    python -m tests.load.bench_inference [studies]

prints JSON lines (name, value, unit, baseline, ratio). It uses servers of its own, or those of CODETECT_TEST_STATE.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
from codetect_inference.app import api
from codetect_inference.bundle import LoadedBundle, open_folder
from codetect_inference.engine import session_options
from codetect_inference.preprocess import plan_series, prepare_batch
from codetect_inference.settings import Settings
from codetect_shared.db import uuid7
from codetect_shared.testing import Tokens, running

from tests.inference.conftest import SAMPLE, Facility, House, folder_files, read
from tests.inference.samples import BUNDLE
from tests.inference.worker_process import forget_peak, high_water, worker_process
from tests.infrastructure import Infrastructure, infrastructure

Row = dict[str, Any]
SECONDS = 20  # of each baseline


async def measure(studies: int = 12) -> list[Row]:
    """All figures of this file."""
    with tempfile.TemporaryDirectory() as folder:
        async with infrastructure(Path(folder)) as infra:
            os.environ.update(infra.environment)
            await infra.migrate("inference")
            async with running(app := api(settings := Settings()), tokens := Tokens()) as client:
                house = House(settings, client, tokens, app.state.db, app.state.storage)
                return await _measure(house, infra, Path(folder), studies)


async def _measure(house: House, infra: Infrastructure, folder: Path, studies: int) -> list[Row]:
    facility, paths = Facility(house, uuid7()), whole_series()
    (await facility.register(folder_files(BUNDLE))).raise_for_status()
    stored = await facility.store(paths)
    async with worker_process(infra, folder) as process:
        await facility.receive(stored)
        await finished(facility, 1)
        forget_peak(process)
        idle_bytes = process.memory_info().rss
        latencies = [await started_after_ms(facility, stored) for _ in range(5)]
        cpu_s = cpu_seconds(process)
        for _ in range(studies):
            await facility.receive(stored)
        await finished(facility, 6 + studies)
        cpu_s, peak_bytes = cpu_seconds(process) - cpu_s, high_water(process)
    last = (await facility.analyses())[-studies:]
    slices = sum(one.slices_analysed or 0 for one in last)
    seconds = (max(one.finished_at for one in last) - min(one.started_at for one in last)).total_seconds()
    bare, bare_cpu_s = bare_slices_per_s(open_folder(BUNDLE), read(paths))
    series_bytes = stored.slices * stored.rows * stored.columns * 2
    return [
        row("slices_per_s", slices / seconds, "slices/s", max(bare.values())),
        row("study_queued_to_started_ms_p50", statistics.median(latencies), "ms"),
        row("worker_cpu_per_slice", 1000 * cpu_s / slices, "ms", 1000 * bare_cpu_s),
        row("worker_peak_over_idle", (peak_bytes - idle_bytes) / series_bytes, "decoded series, 2 jobs in hand"),
        *(row(f"bare_session_run_{name}", value, "slices/s") for name, value in bare.items()),
    ]


def row(name: str, value: float, unit: str, baseline: float | None = None) -> Row:
    """One line of the bench."""
    ratio = round(value / baseline, 3) if baseline else None
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "baseline": baseline and round(baseline, 3),
        "ratio": ratio,
    }


def whole_series() -> list[Path]:
    """The 133 slices of LIDC-IDRI-0001 where the research data lies, else the sample's 45; feet to head."""
    data = Path(os.environ.get("CODETECT_DATA", Path(__file__).parents[3] / "shared/data")) / "dicom/lidc-idri-0001"
    return sorted(data.rglob("*.dcm")) or SAMPLE


async def started_after_ms(facility: Facility, stored: Any) -> float:
    """From the analysis's row to its start by an idle worker."""
    event = await facility.receive(stored)
    await finished(facility, len(await facility.analyses()))
    (one,) = await facility.analyses(event.study_id)
    return (one.started_at - one.queued_at).total_seconds() * 1000


async def finished(facility: Facility, count: int) -> None:
    """Wait for that many results."""
    while True:
        states = [one.status for one in await facility.analyses()]
        if states.count("completed") >= count:
            return
        if "failed" in states:
            raise SystemExit("an analysis failed")
        await asyncio.sleep(1)  # looking more often would take the processor from what is measured


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used so far; unlike the clock it doesn't mind who else is busy."""
    times = process.cpu_times()
    return float(times.user + times.system)


def bare_slices_per_s(bundle: LoadedBundle, hu: np.ndarray) -> tuple[dict[str, float], float]:
    """`session.run` in a loop over slices in memory, by thread setting; and the least CPU seconds a slice takes."""
    how = bundle.manifest.preprocessing
    plan = plan_series(len(hu), hu.__getitem__, how.margin)
    images = prepare_batch([hu[n] for n in plan.slices], plan.box, how)
    cores = len(os.sched_getaffinity(0))
    one = ort.InferenceSession(bundle.model, session_options("cpu"), ["CPUExecutionProvider"])
    all_threads = session_options("cpu")
    all_threads.intra_op_num_threads = cores
    wide = ort.InferenceSession(bundle.model, all_threads, ["CPUExecutionProvider"])
    rates = {f"{cores}x1_batch{size}": rate(one, images, cores, size) for size in (1, 4)}
    rates |= {f"1x{cores}_batch{size}": rate(wide, images, 1, size) for size in (1, 8)}
    return {name: slices for name, (slices, _) in rates.items()}, min(cpu_s for _, cpu_s in rates.values())


def rate(session: ort.InferenceSession, images: np.ndarray, lanes: int, size: int) -> tuple[float, float]:
    """Slices a second on so many lanes, and CPU seconds a slice."""

    def lane(number: int) -> int:
        done, at = 0, number * 7
        while time.monotonic() < until:
            batch = images.take(range(at, at + size), axis=0, mode="wrap")
            session.run(["logits", "cam"], {"image": batch})
            done, at = done + size, at + size
        return done

    session.run(["logits", "cam"], {"image": images[:size]})
    begun, cpu_s = time.monotonic(), time.process_time()
    until = begun + SECONDS
    with ThreadPoolExecutor(lanes) as pool:
        done = sum(pool.map(lane, range(lanes)))
    return done / (time.monotonic() - begun), (time.process_time() - cpu_s) / done


if __name__ == "__main__":
    for figure in asyncio.run(measure(*map(int, sys.argv[1:]))):
        print(json.dumps(figure))
