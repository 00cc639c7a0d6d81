"""One line before a model: batches are shared, urgent studies go first, nobody starves, a cancelled one stops."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from codetect_inference.batching import Line, Reading
from codetect_inference.bundle import open_bundle
from codetect_inference.cost import Cost
from codetect_inference.engine import Engine, Floats, Outputs, Way
from codetect_inference.preprocess import HU, Box, Plan
from codetect_shared.jobs import AGEING, ROUTINE, URGENT

from tests.inference.samples import bundle_files

BUNDLE = open_bundle(bundle_files())
HOW = BUNDLE.manifest.preprocessing
NOW = datetime(2026, 11, 26, tzinfo=UTC)


class Watched(Engine):
    """A real engine that notes the batches it is given (by their grey), and can be held up before each."""

    def __init__(self, way: Way) -> None:
        super().__init__(BUNDLE, "cpu", way)
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)
        inner = self.run

        def run(images: Floats) -> Outputs:
            self.batches.append([round(float(one.mean()) * 100) for one in images])
            assert self.go.acquire(timeout=20)
            return inner(images)

        self.run = run

    def let(self, batches: int) -> None:
        self.go.release(batches)


def reading(
    grey: int, slices: int, priority: int = ROUTINE, waited_s: float = 0, read: Callable[[int], HU] | None = None
) -> Reading:
    """A study whose every slice is that grey, in hundredths; queued `waited_s` ago."""
    hu = np.full((40, 40), HOW.level_hu - HOW.width_hu / 2 + grey / 100 * HOW.width_hu, np.int16)
    plan = Plan(tuple(range(slices)), Box(0, 40, 0, 40))
    rank = NOW - timedelta(seconds=waited_s) + priority * AGEING
    return Reading(read or (lambda _: hu), plan, HOW, rank, Cost())


async def until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not there():
            await asyncio.sleep(0.005)


async def test_studies_share_batches_and_each_gets_its_own() -> None:
    engine = Watched(Way(1, batch=4))
    line = Line(engine)
    studies = [reading(10 * n, n) for n in (3, 5, 2, 7)]
    runs = [asyncio.create_task(line.run(one)) for one in studies]
    await until(lambda: len(engine.batches) == 1)
    engine.let(20)
    for one, outputs in zip(studies, await asyncio.gather(*runs), strict=True):
        slices = len(one.plan.slices)
        assert outputs.logits.shape == (slices, 1)
        np.testing.assert_allclose(outputs.logits, slices / 10, atol=1e-3)
        assert one.done == slices
    assert len(engine.batches) <= 6  # 17 slices in fours, but for what had begun before the others came
    assert any(len(set(batch)) > 1 for batch in engine.batches)
    line.close()


async def test_an_urgent_study_waits_for_batches_in_hand_alone() -> None:
    engine = Watched(Way(1))
    line = Line(engine)
    routine = asyncio.create_task(line.run(reading(20, 10)))
    await until(lambda: len(engine.batches) == 1)
    urgent = asyncio.create_task(line.run(reading(80, 3, URGENT)))
    await asyncio.sleep(0)
    engine.let(20)
    await asyncio.gather(routine, urgent)
    assert engine.batches == [[20], [80], [80], [80], *[[20]] * 9]
    line.close()


async def test_a_routine_study_that_waited_long_goes_before_new_urgent_ones() -> None:
    engine = Watched(Way(1))
    line = Line(engine)
    held = asyncio.create_task(line.run(reading(50, 1)))
    await until(lambda: len(engine.batches) == 1)
    waiting = [
        reading(80, 2, URGENT),
        reading(10, 2, waited_s=AGEING.total_seconds() - 60),
        reading(20, 2, waited_s=AGEING.total_seconds() + 60),
        reading(90, 2, URGENT, waited_s=30),
    ]
    runs = [asyncio.create_task(line.run(one)) for one in waiting]
    await asyncio.sleep(0)
    engine.let(20)
    await asyncio.gather(held, *runs)
    assert [grey for (grey,) in engine.batches] == [50, 20, 20, 90, 90, 80, 80, 10, 10]
    line.close()


async def test_of_a_cancelled_study_no_further_batch_begins() -> None:
    engine = Watched(Way(2))
    line = Line(engine)
    gone, other = (asyncio.create_task(line.run(reading(grey, 20))) for grey in (30, 60))
    await until(lambda: len(engine.batches) == 2)
    gone.cancel()
    await asyncio.wait([gone])
    begun = len(engine.batches)
    engine.let(60)
    await other
    assert gone.cancelled()
    assert [batch for batch in engine.batches[begun:] if batch == [30]] == []
    assert len(engine.batches) == begun + 20
    line.close()


async def test_a_damaged_study_fails_alone() -> None:
    engine = Watched(Way(1, batch=4))
    line = Line(engine)

    def damaged(n: int) -> HU:
        raise ValueError("slice can't be decoded")

    bad, good = line.run(reading(0, 6, read=damaged)), line.run(reading(40, 6))
    engine.let(60)
    failed, outputs = await asyncio.gather(bad, good, return_exceptions=True)
    assert isinstance(failed, ValueError)
    assert isinstance(outputs, Outputs)
    assert len(outputs.logits) == 6
    line.close()


async def test_a_model_that_fails_is_told_to_all_who_wait_for_that_batch_and_the_line_goes_on() -> None:
    engine = Watched(Way(1, batch=2))
    line, inner, broken = Line(engine), engine.run, [True]

    def run(images: Floats) -> Outputs:
        if broken.pop() if broken else False:
            raise RuntimeError("out of memory")
        return inner(images)

    engine.run = run
    engine.let(60)
    with pytest.raises(RuntimeError, match="out of memory"):
        await line.run(reading(10, 4))
    assert len((await line.run(reading(10, 4))).logits) == 4
    line.close()


async def test_however_much_waits_few_slices_are_read_ahead() -> None:
    engine = Watched(Way(2, batch=2))
    line, read = Line(engine), []
    hu = np.zeros((40, 40), np.int16)
    runs = [asyncio.create_task(line.run(reading(0, 50, read=lambda n: read.append(n) or hu))) for _ in range(6)]
    await until(lambda: len(engine.batches) == 2)
    await asyncio.sleep(0.1)
    assert len(read) == 4
    engine.let(300)
    await asyncio.gather(*runs)
    assert len(read) == 300
    line.close()


async def test_each_study_pays_for_its_own_slices() -> None:
    engine = Engine(BUNDLE, "cpu", Way(2, batch=3))
    line = Line(engine)
    small, large = reading(10, 2), reading(10, 200)
    await asyncio.gather(line.run(small), line.run(large))
    assert 0 < small.cost.cpu_s < large.cost.cpu_s
    assert min(small.cost.model_s, large.cost.model_s) > 0
    assert (small.cost.gpu_s, large.cost.gpu_s) == (0, 0)
    line.close()
