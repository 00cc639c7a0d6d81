"""How a CPU runs a model fastest: a few ways of laying out threads and runs, measured when it is loaded.

Which is best hangs on the processor (shared caches, hyper-threads), so it is measured, within a bounded time, and kept
beside the cached bundle: the next start on the same machine needn't measure.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime as ort
from pydantic import BaseModel, ValidationError

from codetect_inference.bundle import LoadedBundle
from codetect_inference.engine import Engine, Floats, Way, cores

CLEARLY = 1.05  # so much faster another way must be than the usual one: a shared machine makes noise
RUNS = 2  # of each lane, for one figure
TURNS = 3  # of all ways: what else runs on a machine only slows, so that the best of a way's figures counts


class Tuned(BaseModel):
    """What was found, and on what; slices a second by `lanes x threads x batch`."""

    machine: str
    way: Way
    rates: dict[str, float]


def best_engine(bundle: LoadedBundle, budget_s: float, kept: Path) -> tuple[Engine, Tuned, bool]:
    """A warm engine laid out as is fastest here, what was measured, and whether it was now rather than before."""
    known = remembered(kept)
    if known:
        engine = Engine(bundle, "cpu", known.way)
        engine.warm_up()
        return engine, known, False
    engine, tuned = measure(bundle, budget_s)
    with suppress(OSError):  # a folder that can't be written costs the next start a measurement
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(tuned.model_dump_json())
    return engine, tuned, True


def remembered(kept: Path) -> Tuned | None:
    """What an earlier start found on this machine."""
    with suppress(OSError, ValidationError):
        tuned = Tuned.model_validate_json(kept.read_bytes())
        if tuned.machine == machine():
            return tuned
    return None


def measure(bundle: LoadedBundle, budget_s: float) -> tuple[Engine, Tuned]:
    """Try ways by turns until the time is up; the first one, the usual, is always tried."""
    until = time.monotonic() + budget_s
    engines: dict[int, Engine] = {}
    rates: dict[Way, float] = {}
    slowest_s = 0.0
    for way in [*ways(cores())] * TURNS:
        begun = time.monotonic()
        if rates and begun + slowest_s > until:
            break
        if way.threads not in engines:
            engines[way.threads] = Engine(bundle, "cpu", way)
        rates[way] = max(rates.get(way, 0), rate(engines[way.threads], way))
        slowest_s = max(slowest_s, time.monotonic() - begun)
    usual, fastest = next(iter(rates)), max(rates, key=lambda way: rates[way])
    best = fastest if rates[fastest] > CLEARLY * rates[usual] else usual
    engine = engines[best.threads]
    engine.way = best
    named = {f"{way.lanes}x{way.threads}x{way.batch}": round(found, 2) for way, found in rates.items()}
    return engine, Tuned(machine=machine(), way=best, rates=named)


def ways(cores: int) -> Iterator[Way]:
    """What may be fastest, likeliest first; each core has one thread, or on hyper-threads every second one.

    Two slices a run take 2 to 4 % less processor time a slice than one: too little to be seen in so few runs.
    """
    yield Way(cores, 1, 2)
    yield Way(cores, 1, 1)
    if cores >= 4:
        yield Way(cores // 2, 1, 1)
        yield Way(cores // 2, 2, 1)
    if cores >= 2:
        yield Way(1, cores, 1)


def rate(engine: Engine, way: Way) -> float:
    """Slices a second on noise, all lanes busy."""
    batch: Floats = np.random.default_rng(0).random((way.batch, 1, engine.side, engine.side), np.float32)

    def lane(runs: int) -> None:
        for _ in range(runs):
            engine.run(batch)

    with ThreadPoolExecutor(way.lanes) as pool:
        list(pool.map(lane, [1] * way.lanes))  # plans memory
        begun = time.monotonic()
        list(pool.map(lane, [RUNS] * way.lanes))
    return way.lanes * RUNS * way.batch / (time.monotonic() - begun)


def machine() -> str:
    """What a finding holds for."""
    model = platform.machine()
    with suppress(OSError), open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), model)
    return json.dumps([model, cores(), ort.__version__, TURNS])
