"""A job is worked on by one holder at a time, survives whoever holds it, and is settled once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from codetect_shared.jobs import LeaseLost, Reaper, Worker
from codetect_shared.outbox import Relay
from codetect_shared.testing import claimed
from sqlalchemy.ext.asyncio import AsyncSession

from tests.shared.conftest import Shop, Task


async def enqueue(shop: Shop, **values: Any) -> Task:
    task = Task(facility_id=shop.facility, **values)
    async with shop.db.facility(shop.facility) as session:
        session.add(task)
        await session.flush()
        await shop.jobs.enqueue(session, task)
    return task


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(part.run()) for part in parts]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def relay(shop: Shop) -> Relay:
    return Relay(shop.system_url, shop.rabbitmq, "shop")


async def settle(shop: Shop, job: Task, state: str = "done") -> None:
    async with shop.db.facility(shop.facility) as session:
        (await shop.jobs.settle(session, job)).state = state


async def give_up(session: AsyncSession, row: Task, error: Exception | None) -> None:
    row.state = f"gave up: {error}"


def worker(shop: Shop, run: Any, **rest: Any) -> Worker[Task]:
    return Worker(shop.jobs, shop.db, shop.rabbitmq, run, give_up, **rest)


async def state_of(shop: Shop, task: Task) -> str:
    return (await shop.sql("SELECT state FROM task WHERE id = $1", task.id))[0]["state"]


async def until(shop: Shop, task: Task, state: str, within: float = 15) -> None:
    async with asyncio.timeout(within):
        while not (await state_of(shop, task)).startswith(state):
            await asyncio.sleep(0.05)


async def test_a_claimed_job_is_nobody_elses(shop: Shop) -> None:
    await enqueue(shop)
    claims = await asyncio.gather(*(shop.jobs.claim(shop.db) for _ in range(5)))
    assert len([c for c in claims if c]) == 1


async def test_urgent_jobs_come_first(shop: Shop) -> None:
    await enqueue(shop, priority=1)
    urgent = await enqueue(shop, priority=0)
    claimed = await shop.jobs.claim(shop.db)
    assert claimed is not None
    assert claimed.id == urgent.id


async def test_urgent_jobs_starve_nobody(shop: Shop) -> None:
    """A routine job that has waited ten minutes longer than an urgent one goes before it, else after it."""
    waited = {}
    for minutes, priority in ((11, 1), (9, 1), (0, 0)):
        task = await enqueue(shop, priority=priority)
        waited[task.id] = (minutes, priority)
        await shop.sql(
            "UPDATE task SET available_at = available_at - $2 * interval '1 minute' WHERE id = $1", task.id, minutes
        )
    claims = [await claimed(shop.jobs, shop.db) for _ in range(3)]
    assert [waited[one.id] for one in claims] == [(11, 1), (0, 0), (9, 1)]
    assert [one.rank for one in claims] == sorted(one.rank for one in claims)


async def test_an_urgent_job_overtakes_while_every_hand_is_busy(shop: Shop) -> None:
    going, done, end = [], [], asyncio.Event()

    async def run(job: Task) -> None:
        going.append(job.id)
        if job.priority:
            await end.wait()
        await settle(shop, job)
        done.append(job.id)

    hand = worker(shop, run)
    routine = [await enqueue(shop) for _ in range(2)]
    tasks = [asyncio.create_task(hand.run()), asyncio.create_task(hand.overtake(1))]
    async with asyncio.timeout(15):
        while not going:
            await asyncio.sleep(0.02)
        urgent = await enqueue(shop, priority=0)
        await until(shop, urgent, "done")
        assert (going, done) == ([routine[0].id, urgent.id], [urgent.id])
        end.set()
        await until(shop, routine[1], "done")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_after_its_lease_a_job_can_be_claimed_again_and_the_late_result_is_refused(shop: Shop) -> None:
    task = await enqueue(shop)
    frozen = await shop.jobs.claim(shop.db)
    await asyncio.sleep(shop.jobs.lease_s + 0.1)
    second = await shop.jobs.claim(shop.db)
    assert frozen is not None
    assert second is not None
    assert (second.id, second.fence) == (task.id, frozen.fence + 1)
    with pytest.raises(LeaseLost):
        await settle(shop, frozen, "late")
    await settle(shop, second)
    assert await state_of(shop, task) == "done"
    with pytest.raises(LeaseLost):
        await settle(shop, second, "twice")


async def test_a_waiting_worker_is_woken_at_once(shop: Shop) -> None:
    taken: asyncio.Queue[float] = asyncio.Queue()

    async def run(job: Task) -> None:
        taken.put_nowait(asyncio.get_running_loop().time())
        await settle(shop, job)

    async with running(relay(shop), worker(shop, run)):
        await asyncio.sleep(1)
        delays = []
        for _ in range(10):
            began = asyncio.get_running_loop().time()
            await enqueue(shop)
            async with asyncio.timeout(5):
                delays.append(await taken.get() - began)
            await asyncio.sleep(0.1)
    assert sorted(delays)[5] < 0.25


async def test_two_workers_finish_fifty_jobs_once_each(shop: Shop) -> None:
    runs: list[Any] = []

    async def run(job: Task) -> None:
        runs.append(job.id)
        await asyncio.sleep(0.01)
        await settle(shop, job)

    async with running(relay(shop), worker(shop, run), worker(shop, run)):
        tasks = [await enqueue(shop) for _ in range(50)]
        for task in tasks:
            await until(shop, task, "done")
    assert sorted(runs) == sorted(task.id for task in tasks)


async def test_a_job_longer_than_its_lease_has_one_result(shop: Shop) -> None:
    runs = []

    async def run(job: Task) -> None:
        runs.append(job.id)
        await asyncio.sleep(shop.jobs.lease_s * 2.5)
        await settle(shop, job)

    async with running(relay(shop), Reaper(shop.system_url, shop.jobs), worker(shop, run), worker(shop, run)):
        await until(shop, await enqueue(shop), "done")
    assert len(runs) == 1


async def test_work_stops_when_the_lease_is_lost(shop: Shop) -> None:
    task = await enqueue(shop)
    job = await shop.jobs.claim(shop.db)
    assert job is not None
    await shop.sql("UPDATE task SET fence = fence + 1 WHERE id = $1", task.id)
    with pytest.raises(LeaseLost):
        async with asyncio.timeout(5), shop.jobs.holding(shop.db, job):
            await asyncio.sleep(60)


async def test_a_lost_look_is_said_again_by_the_reaper(shop: Shop) -> None:
    done = asyncio.Event()

    async def run(job: Task) -> None:
        await settle(shop, job)
        done.set()

    task = await shop.add()
    async with running(relay(shop), Reaper(shop.system_url, shop.jobs), worker(shop, run)):
        await asyncio.sleep(0.5)
        await shop.sql("UPDATE task SET available_at = clock_timestamp() WHERE id = $1", task.id)
        async with asyncio.timeout(5):
            await done.wait()


async def test_a_failing_job_is_tried_again_later_and_given_up_in_the_end(shop: Shop) -> None:
    attempts: list[int] = []

    async def run(job: Task) -> None:
        attempts.append(job.attempts)
        raise ValueError("no good")

    shop.jobs.max_attempts = 2
    async with running(relay(shop), Reaper(shop.system_url, shop.jobs), worker(shop, run)):
        task = await enqueue(shop)
        await until(shop, task, "gave up: no good")
    assert attempts == [1, 2]


async def test_a_job_whose_holders_keep_dying_is_given_up_without_another_run(shop: Shop) -> None:
    async def run(job: Task) -> None:
        raise AssertionError("must not run")

    task = await enqueue(shop)
    await shop.sql("UPDATE task SET attempts = 3 WHERE id = $1", task.id)
    async with running(relay(shop), worker(shop, run)):
        await until(shop, task, "gave up: None")


async def test_a_graceful_stop_gives_the_job_and_its_attempt_back(shop: Shop) -> None:
    started = asyncio.Event()

    async def run(job: Task) -> None:
        started.set()
        await asyncio.sleep(60)

    task = await enqueue(shop)
    async with running(worker(shop, run, drain_s=0.1)):
        await started.wait()
    (row,) = await shop.sql("SELECT * FROM task WHERE id = $1", task.id)
    assert (row["attempts"], row["lease_until"]) == (0, None)
    assert await shop.jobs.claim(shop.db) is not None


async def test_a_graceful_stop_lets_a_short_job_finish(shop: Shop) -> None:
    started = asyncio.Event()

    async def run(job: Task) -> None:
        started.set()
        await asyncio.sleep(0.5)
        await settle(shop, job)

    task = await enqueue(shop)
    async with running(worker(shop, run, drain_s=5)):
        await started.wait()
    assert await state_of(shop, task) == "done"


async def test_jobs_are_worked_while_the_broker_is_away(shop: Shop) -> None:
    async def run(job: Task) -> None:
        await settle(shop, job)

    shop.rabbitmq = type(shop.rabbitmq)("amqp://nobody:x@127.0.0.1:1/")
    async with running(worker(shop, run)):
        await until(shop, await enqueue(shop), "done")


async def test_looks_never_enter_the_stream(shop: Shop) -> None:
    async def run(job: Task) -> None:
        await settle(shop, job)

    from codetect_shared import streams

    before = await streams.last_offset(shop.rabbitmq, "test")
    async with running(relay(shop), worker(shop, run)):
        await until(shop, await enqueue(shop), "done")
    assert await streams.last_offset(shop.rabbitmq, "test") == before


async def test_whoever_holds_a_row_that_comes_due_takes_it_first(shop: Shop) -> None:
    task = Task(facility_id=shop.facility)
    async with shop.db.facility(shop.facility) as session:
        session.add(task)
    held = await shop.jobs.hold(shop.db, task.id)
    assert held is not None
    assert await shop.jobs.hold(shop.db, task.id, Task.lease_until.is_(None)) is None  # held already
    assert await shop.jobs.take(shop.db, held) is None  # not due
    async with shop.db.facility(shop.facility) as session:
        row = await session.get_one(Task, task.id)
        await shop.jobs.enqueue(session, row, head_start_s=60)
    assert await shop.jobs.claim(shop.db) is None
    assert await shop.jobs.hold(shop.db, task.id) is None  # due: to be taken, not to be held
    taken = await shop.jobs.take(shop.db, held)
    assert taken is not None
    assert (taken.id, taken.fence, taken.attempts) == (task.id, held.fence + 1, 1)
    assert await shop.jobs.take(shop.db, held) is None
    await settle(shop, taken)


async def test_a_head_start_is_nobodys_where_nobody_holds_the_row(shop: Shop) -> None:
    for let_go in (False, True):
        task = Task(facility_id=shop.facility)
        async with shop.db.facility(shop.facility) as session:
            session.add(task)
        if let_go:
            await shop.jobs.hold(shop.db, task.id)
            await shop.jobs.hold(shop.db, task.id, lease_s=0)
        async with shop.db.facility(shop.facility) as session:
            await shop.jobs.enqueue(session, await session.get_one(Task, task.id), head_start_s=60)
        assert (await claimed(shop.jobs, shop.db)).id == task.id


async def test_while_somebody_else_has_the_turn_others_get_the_jobs(shop: Shop) -> None:
    turn, done = asyncio.Lock(), []

    async def wait_in_vain(job: Task) -> None:
        done.append("busy")
        await settle(shop, job)

    async def run(job: Task) -> None:
        done.append("free")
        await settle(shop, job)

    busy, free = worker(shop, wait_in_vain, turn=turn), worker(shop, run)
    async with running(relay(shop), busy):
        await until(shop, await enqueue(shop), "done")
        async with turn, running(free):
            for _ in range(4):
                await until(shop, await enqueue(shop), "done")
        await until(shop, await enqueue(shop), "done")
    assert done == ["busy", *["free"] * 4, "busy"]


async def test_a_job_that_waits_for_its_turn_keeps_its_lease(shop: Shop) -> None:
    turn, task = asyncio.Lock(), await enqueue(shop)
    hand = worker(shop, lambda job: settle(shop, job), turn=turn)
    job = await claimed(shop.jobs, shop.db)
    async with turn:
        working = asyncio.create_task(hand.work_in_turn(job))
        await asyncio.sleep(shop.jobs.lease_s + 0.5)
        assert await shop.jobs.claim(shop.db) is None
    await working
    assert await state_of(shop, task) == "done"


async def test_of_jobs_that_take_turns_one_is_worked_at_a_time(shop: Shop) -> None:
    """Whether it was claimed for a look or elsewhere."""
    at_work = most = 0

    async def run(job: Task) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.5)
        at_work -= 1
        await settle(shop, job)

    hand = worker(shop, run, turn=asyncio.Lock())
    async with running(relay(shop), hand):
        await until(shop, await enqueue(shop), "done")  # it listens now
        task = Task(facility_id=shop.facility)
        async with shop.db.facility(shop.facility) as session:
            session.add(task)
        held = await shop.jobs.hold(shop.db, task.id)
        assert held is not None
        looked_for = await enqueue(shop)
        while not at_work:
            await asyncio.sleep(0.01)
        async with shop.db.facility(shop.facility) as session:
            await shop.jobs.enqueue(session, await session.get_one(Task, task.id), head_start_s=60)
        taken = await shop.jobs.take(shop.db, held)
        assert taken is not None
        await hand.work_in_turn(taken)
        await until(shop, looked_for, "done")
    assert most == 1
