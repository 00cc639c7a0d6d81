"""What stands before a model: slices of all waiting studies in one line, filled into batches, the most urgent first.

A few threads each take a batch, prepare it and run it, then take the next: so preparing overlaps with running, a batch
is chosen at the last moment (an urgent study waits for the batches in hand alone, a cancelled one begins no more), and
no more than a batch for each thread is in memory, however much waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np

from codetect_inference.bundle import Preprocessing
from codetect_inference.cost import Cost
from codetect_inference.engine import Engine, Floats, Outputs, cores
from codetect_inference.preprocess import HU, Plan, brightness, prepare_slice


class Reading:
    """One study's way through a model; the line's threads write to it, below the line's lock."""

    def __init__(self, read: Callable[[int], HU], plan: Plan, how: Preprocessing, rank: datetime, cost: Cost) -> None:
        self.read, self.plan, self.how, self.rank, self.cost = read, plan, how, rank, cost
        self.taken = self.done = 0  # slices
        self.begun_at: float | None = None  # monotonic, of the first batch
        self.withdrawn = False
        self.parts: dict[int, Outputs] = {}
        self.looks: dict[int, Floats] = {}
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def outputs(self) -> Outputs:
        """All slices' in the plan's order."""
        return Outputs.together(self.parts[at] for at in sorted(self.parts))

    def inputs(self) -> Floats:
        """Mean and standard deviation of each slice as the model saw it, (n, 2)."""
        return np.concatenate([self.looks[at] for at in sorted(self.looks)])


Share = tuple[Reading, slice]
"""Some of a study's planned slices, as part of a batch."""


class Line:
    """The studies that wait for one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        way = engine.way
        # On a CPU a lane's own thread prepares. A GPU is so much faster that several prepare for one that runs.
        self._most = way.lanes + min(cores(), 8) if engine.on_gpu else way.lanes
        self._at_once = threading.Semaphore(way.lanes)
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="model")
        self._lock = threading.Lock()
        self._waiting: list[Reading] = []
        self._threads = 0
        self.batches = 0  # begun so far

    async def run(self, reading: Reading) -> Outputs:
        """What the model says to a study's planned slices; cancelled, no more of its batches begin."""
        with self._lock:
            self._waiting.append(reading)
            self._waiting.sort(key=lambda one: one.rank)
            starting = self._most - self._threads
            self._threads += starting
        for _ in range(starting):
            self._pool.submit(self._work)
        try:
            await reading.outcome
        finally:
            with self._lock:
                self._withdraw(reading)
        return reading.outputs()

    def close(self) -> None:
        """Let running batches end and begin no more."""
        with self._lock:
            for reading in list(self._waiting):
                self._settle(reading, RuntimeError("the model was closed"))
        self._pool.shutdown(cancel_futures=True)

    def _work(self) -> None:
        """A thread's life: batch after batch, until nothing waits."""
        while shares := self._take():
            try:
                self._run(shares)
            except Exception as error:  # whatever went wrong, these studies must know
                self._fail([reading for reading, _ in shares], error)

    def _take(self) -> list[Share]:
        """The next batch, filled up with the studies that come after the first."""
        with self._lock:
            shares: list[Share] = []
            room = self._engine.way.batch
            for reading in self._waiting:
                count = min(room, len(reading.plan.slices) - reading.taken)
                if count:
                    shares.append((reading, slice(reading.taken, reading.taken + count)))
                    reading.taken += count
                    reading.begun_at = reading.begun_at or time.monotonic()
                    room -= count
            if shares:
                self.batches += 1
            else:
                self._threads -= 1
            return shares

    def _run(self, shares: list[Share]) -> None:
        images: list[Floats] = []
        good: list[Share] = []
        begun = time.thread_time()
        spent: list[float] = []
        for reading, part in shares:
            try:
                made = [
                    prepare_slice(reading.read(n), reading.plan.box, reading.how) for n in reading.plan.slices[part]
                ]
            except Exception as error:  # a damaged volume is its own study's matter
                self._fail([reading], error)
                continue
            images += made
            good.append((reading, part))
            spent.append(time.thread_time() - begun)
            begun = time.thread_time()
        if not images or all(reading.withdrawn for reading, _ in good):
            return
        batch = np.stack(images)
        looks = brightness(batch)
        with self._at_once:
            wall, cpu = time.monotonic(), time.thread_time()
            outputs = self._engine.run(batch)
            wall, cpu = time.monotonic() - wall, time.thread_time() - cpu
        if not self._engine.on_gpu and self._engine.way.threads > 1:
            cpu = wall * self._engine.way.threads  # what its other threads took isn't told
        with self._lock:
            self._deliver(good, spent, outputs, looks, cpu / len(batch), wall / len(batch))

    def _deliver(
        self,
        shares: Sequence[Share],
        spent: Sequence[float],
        outputs: Outputs,
        looks: Floats,
        cpu_s: float,
        wall_s: float,
    ) -> None:
        """Hand each study its own; a slice's share of a run counts toward its study's cost."""
        at = 0
        for (reading, part), prepared_s in zip(shares, spent, strict=True):
            count = part.stop - part.start
            reading.parts[part.start] = outputs.rows(slice(at, at + count))
            reading.looks[part.start] = looks[at : at + count]
            at += count
            reading.cost.cpu_s += prepared_s + count * cpu_s
            reading.cost.model_s += count * wall_s
            if self._engine.on_gpu:
                reading.cost.gpu_s += count * wall_s
            reading.done += count
            if reading.done == len(reading.plan.slices):
                self._settle(reading, None)

    def _fail(self, readings: Sequence[Reading], error: Exception) -> None:
        with self._lock:
            for reading in readings:
                self._settle(reading, error)

    def _settle(self, reading: Reading, error: Exception | None) -> None:
        self._withdraw(reading)
        loop = reading.outcome.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_end, reading.outcome, error)

    def _withdraw(self, reading: Reading) -> None:
        reading.withdrawn = True
        if reading in self._waiting:
            self._waiting.remove(reading)


def _end(outcome: asyncio.Future[None], error: Exception | None) -> None:
    if outcome.done():
        return
    if error:
        outcome.set_exception(error)
    else:
        outcome.set_result(None)
