"""How fast studies become committed results, beside a bare loop over the model, and what memory a worker takes for it.

    python -m tests.load.bench_inference [studies a round] [rounds]

prints JSON lines (name, value, unit, baseline, ratio). It uses servers of its own, or those of CODETECT_TEST_STATE.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
import psutil
from codetect_inference.app import api
from codetect_inference.bundle import LoadedBundle, open_folder
from codetect_inference.engine import session_options
from codetect_inference.models import Analysis
from codetect_inference.preprocess import Box, plan_series, prepare_batch
from codetect_inference.settings import Settings
from codetect_shared.db import uuid7
from codetect_shared.events import SeriesFacts
from codetect_shared.testing import Tokens, running
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select

from tests.inference.conftest import SAMPLE, Facility, House, folder_files, lung, read
from tests.inference.samples import BUNDLE
from tests.inference.worker_process import forget_peak, high_water, worker_process
from tests.infrastructure import Infrastructure, infrastructure

Row = dict[str, Any]
ROUNDS = 3  # of each baseline and the worker in turns, so that a machine that swings does so for all
BARE_S = 6  # of one baseline in one round
WARM = 2  # studies before the clock starts, and as many wait when it stops: the queue is full throughout
MANY = 100


async def measure(studies: int = 6, turns: int = ROUNDS) -> list[Row]:
    """All figures of this file; `studies` a round."""
    with tempfile.TemporaryDirectory() as folder:
        async with infrastructure(Path(folder)) as infra:
            os.environ.update(infra.environment)
            await infra.migrate("inference")
            async with running(app := api(settings := Settings()), tokens := Tokens()) as client:
                house = House(settings, client, tokens, app.state.db, app.state.storage)
                facility = Facility(house, uuid7())
                (await facility.register(folder_files(BUNDLE))).raise_for_status()
                return [
                    *await speed(facility, infra, Path(folder), studies, turns),
                    *await growth(facility, infra, Path(folder)),
                ]


async def speed(facility: Facility, infra: Infrastructure, folder: Path, studies: int, turns: int) -> list[Row]:
    """Slices a second of a worker with its queue full and of bare loops, in turns; and where the time goes."""
    paths = whole_series()
    stored = await facility.store(paths)
    bundle, hu = open_folder(BUNDLE), read(paths)
    worker, rounds, loops = [], [], Loops(bundle, hu)
    async with worker_process(infra, folder) as process:
        await facility.receive(stored)
        await finished(facility, 1)
        forget_peak(process)
        idle_bytes = process.memory_info().rss
        latencies = [await started_after_ms(facility, stored) for _ in range(5)]
        for _ in range(turns):
            rounds.append(await asyncio.to_thread(loops.turn))  # the API, in this process, must not lose its broker
            worker.append(await full_queue(facility, stored, studies, process))
        peak_bytes, told = high_water(process), await metrics(infra)
    done = [one for one in await facility.analyses() if one.status == "completed"]
    best = max(loops.good, key=lambda name: statistics.median(one[name][0] for one in rounds))
    cpu_s = statistics.median(one[best][1] for one in rounds)
    worker_cpu_s = statistics.median(cpu for _, cpu, _ in worker)
    model_s, own_s = told["codetect_model_seconds_total"], told["codetect_analysis_cpu_seconds_total"]
    slices = told["codetect_slices_total"]
    first_ms = 1000 * told["codetect_first_batch_seconds_sum"] / told["codetect_first_batch_seconds_count"]
    return [
        compared("slices_per_s", [rate for rate, _, _ in worker], [one[best][0] for one in rounds], f"bare {best}"),
        compared("slices_per_s_plain", [rate for rate, _, _ in worker], [one["plain"][0] for one in rounds], "plain"),
        row("cpu_per_slice_worker", 1000 * worker_cpu_s, "ms", 1000 * cpu_s),
        row("cpu_per_slice_all_processes", 1000 * statistics.median(cpu for _, _, cpu in worker), "ms of both cores"),
        row("share_of_model_in_worker", cpu_s / worker_cpu_s, "of its CPU seconds: bare CPU / worker's CPU"),
        row("share_of_analyses_own_threads", own_s / slices / worker_cpu_s, "of its CPU seconds, told as cost"),
        row("share_of_model_in_cost", model_s / own_s, "wall of runs / CPU told as cost"),
        row("study_queued_to_started_ms_p50", statistics.median(latencies), "ms"),
        row("claim_to_first_batch_ms_mean", first_ms, "ms"),
        row("worker_peak_over_idle", (peak_bytes - idle_bytes) / series_bytes(stored), "decoded series, 2 in hand"),
        row("cost_cpu_ms_p50", statistics.median(one.cpu_ms or 0 for one in done), "ms a study"),
        row("cost_bytes_read", done[-1].bytes_read or 0, "bytes a study"),
        row("cost_bytes_written", done[-1].bytes_written or 0, "bytes a study"),
        *(row(f"bare_{name}", statistics.median(one[name][0] for one in rounds), "slices/s") for name in rounds[0]),
        *choice_and_crop(bundle, hu, 1 / statistics.median(one[best][0] for one in rounds)),
    ]


async def growth(facility: Facility, infra: Infrastructure, folder: Path) -> list[Row]:
    """Resident memory of a worker over many small studies: the slope of a line through it, and its standard error."""
    stored = await facility.store(lung(4))
    before = len(await facility.analyses())
    resident = []
    async with worker_process(infra, folder) as process:
        for done in range(0, MANY, 10):
            for _ in range(10):
                await facility.receive(stored)
            await finished(facility, before + done + 10)
            resident.append(process.memory_info().rss / 2**20)
    at = np.arange(10, MANY + 1, 10)[2:]  # what the first studies import and plan is no growth
    (slope, _), covariance = np.polyfit(at, resident[2:], 1, cov=True)
    return [
        row("rss_after_20_studies", resident[1], "MiB"),
        row("rss_after_100_studies", resident[-1], "MiB"),
        row("rss_slope_per_100_studies", slope * 100, "MiB"),
        row("rss_slope_standard_error", float(np.sqrt(covariance[0, 0])) * 100, "MiB per 100 studies"),
    ]


async def full_queue(
    facility: Facility, stored: SeriesFacts, studies: int, process: psutil.Process
) -> tuple[float, float, float]:
    """Slices a second from the completion of one study to that of a later one, others waiting all the while; CPU
    seconds a slice of the worker, and of the whole machine (whoever else runs included).
    """
    before = len(await facility.analyses())
    for _ in range(studies + 2 * WARM):
        await facility.receive(stored)
    await finished(facility, before + WARM)
    cpu_s, machine_s = cpu_seconds(process), machine_seconds()
    begun = len([one for one in await facility.analyses() if one.status == "completed"])
    await finished(facility, before + WARM + studies)
    cpu_s, machine_s = cpu_seconds(process) - cpu_s, machine_seconds() - machine_s
    done = sorted((one for one in await facility.analyses() if one.finished_at), key=lambda one: one.finished_at)
    first, rest = done[begun - 1], done[begun:]
    await finished(facility, before + studies + 2 * WARM)
    slices = sum(one.slices_analysed or 0 for one in rest)
    return slices / (rest[-1].finished_at - first.finished_at).total_seconds(), cpu_s / slices, machine_s / slices


class Loops:
    """Bare `session.run` loops over slices in memory, by lanes x threads and batch; `plain`: default threads."""

    def __init__(self, bundle: LoadedBundle, hu: np.ndarray) -> None:
        how, cores = bundle.manifest.preprocessing, len(os.sched_getaffinity(0))
        plan = plan_series(len(hu), hu.__getitem__, how.margin)
        self._images = prepare_batch([hu[n] for n in plan.slices], plan.box, how)
        one, wide, plain = (
            ort.InferenceSession(bundle.model, options, ["CPUExecutionProvider"])
            for options in (session_options("cpu"), session_options("cpu", cores), ort.SessionOptions())
        )
        self._loops = {
            f"{cores}x1_batch1": (one, cores, 1),
            f"{cores}x1_batch2": (one, cores, 2),
            f"1x{cores}_batch1": (wide, 1, 1),
            "plain": (plain, 1, 1),
        }
        self.good = [name for name in self._loops if name != "plain"]

    def turn(self) -> dict[str, tuple[float, float]]:
        """Each loop once: slices a second, and CPU seconds a slice."""
        return {name: rate(session, self._images, lanes, size) for name, (session, lanes, size) in self._loops.items()}


def choice_and_crop(bundle: LoadedBundle, hu: np.ndarray, slice_s: float) -> Iterator[Row]:
    """What choosing slices saves of a study's time, and what cropping does to preparing one slice."""
    how, shape = bundle.manifest.preprocessing, hu.shape[1:]
    begun = time.thread_time()
    plan = plan_series(len(hu), hu.__getitem__, how.margin)
    planning_s = time.thread_time() - begun
    yield row("planning_ms", 1000 * planning_s, f"ms for {len(hu)} slices")
    yield row("study_s_with_choice", planning_s + len(plan.slices) * slice_s, "s", len(hu) * slice_s)
    chosen = [hu[n] for n in plan.slices]
    spent = []
    for box in (plan.box, Box(0, shape[0], 0, shape[1])):
        begun = time.thread_time()
        prepare_batch(chosen, box, how)
        spent.append(1000 * (time.thread_time() - begun) / len(chosen))
    yield row("prepare_ms_per_slice_cropped", spent[0], "ms", spent[1])


async def metrics(infra: Infrastructure) -> dict[str, float]:
    """The worker's, summed over labels."""
    port = int(infra.environment["CODETECT_INFERENCE_PORT"]) + 1
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


def compared(name: str, values: list[float], baselines: list[float], baseline: str) -> Row:
    """Medians, the median of the rounds' ratios, and each of them, to show how much the machine swings."""
    ratios = [value / base for value, base in zip(values, baselines, strict=True)]
    line = row(name, statistics.median(values), "slices/s", statistics.median(baselines))
    return line | {
        "ratio": round(statistics.median(ratios), 3),
        "rounds": [round(one, 3) for one in ratios],
        "against": baseline,
    }


def series_bytes(stored: SeriesFacts) -> int:
    """Of a series, decoded."""
    return stored.slices * stored.rows * stored.columns * 2


def machine_seconds() -> float:
    """What all processes of this machine have used."""
    times = psutil.cpu_times()
    return float(times.user + times.system)


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
        async with facility.house.db.facility(facility.id) as session:
            states = dict(
                (await session.execute(select(Analysis.status, func.count()).group_by(Analysis.status))).all()
            )
        if states.get("completed", 0) >= count:
            return
        if "failed" in states:
            raise SystemExit("an analysis failed")
        await asyncio.sleep(1)  # looking more often would take the processor from what is measured


def cpu_seconds(process: psutil.Process) -> float:
    """What a process has used so far; unlike the clock it doesn't mind who else is busy."""
    times = process.cpu_times()
    return float(times.user + times.system)


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
    until = begun + BARE_S
    with ThreadPoolExecutor(lanes) as pool:
        done = sum(pool.map(lane, range(lanes)))
    return done / (time.monotonic() - begun), (time.process_time() - cpu_s) / done


if __name__ == "__main__":
    for figure in asyncio.run(measure(*map(int, sys.argv[1:]))):
        print(json.dumps(figure))
