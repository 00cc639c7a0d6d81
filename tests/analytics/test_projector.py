"""Each event counts once, whatever happens to projectors, relays and streams."""

import asyncio
import functools
import multiprocessing
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess

import asyncpg
import pytest
from codetect_analytics import models
from codetect_analytics.__main__ import main
from codetect_analytics.projector import LOCK, CursorTaken, Place, Projector
from codetect_shared import bus, outbox, streams, topology
from codetect_shared.db import uuid7

from tests.analytics.conftest import House
from tests.analytics.stories import Story


def kept(envelopes: list[bus.Envelope]) -> int:
    return len({e.id for e in envelopes if "progressed" not in e.type})


async def told_of_epoch(house: House) -> int:
    return (await house.sql("SELECT epoch FROM cursor"))[0][0]


async def caught_up(house: House, within_s: float = 20) -> None:
    """Wait until the cursor stands at the stream's newest message."""
    last = await streams.last_offset(house.settings.rabbitmq_url, "test")
    async with asyncio.timeout(within_s):
        while (await house.sql('SELECT "offset" FROM cursor'))[0][0] != last:
            await asyncio.sleep(0.05)


async def test_figures_are_exact(house: House) -> None:
    told = [*Story(seed=1).busy(60), *Story(seed=2).busy(30)]
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        await house.check(told)


async def test_what_was_told_before_the_first_start_counts(house: House) -> None:
    told = Story().busy(20)
    await house.publish(told)
    with house.projecting():
        await house.applied(kept(told))
        await house.check(told)


async def test_copies_count_once_also_out_of_order(house: House) -> None:
    told = Story().busy(40)
    shuffled = told * 3
    random.Random(3).shuffle(shuffled)
    with house.projecting():
        await house.publish(shuffled)
        await caught_up(house)
        await house.publish(told)
        await caught_up(house)
        assert (await house.sql("SELECT count(*) FROM events"))[0][0] == kept(told)
        await house.check(told)


async def test_an_event_changes_its_figure_within_a_moment_when_idle(house: House) -> None:
    loop, took = asyncio.get_running_loop(), []
    story = Story()
    with house.projecting():
        await house.publish(story.upload())
        await house.applied(3)
        for n in range(20):
            await asyncio.sleep(0.05)
            started = loop.time()
            await house.publish([story.study()])
            while (await house.sql("SELECT sum(n) FROM figures.studies"))[0][0] != n + 1:
                await asyncio.sleep(0.002)
            took.append(loop.time() - started)
    assert sorted(took)[10] < 0.25, took


async def test_events_without_figures_are_kept_for_a_later_version_but_progress_is_not(house: House) -> None:
    story = Story()
    known = story.analysis(progress=5)
    newer = replace(known[0], id=uuid7(), type="codetect.analysis.dreamt.v1")
    other = replace(known[0], id=uuid7(), data={"analysis_id": "not an id"})
    with house.projecting():
        await house.publish([newer, other, *known])
        await house.applied(2 + kept(known))
        await house.check(known)


async def test_what_postgres_cannot_take_is_passed_over_alone(house: House) -> None:
    story = Story()
    before, after = story.busy(10), story.busy(10)
    zero = replace(story.study(), data={"reason": "a \0 in a text"})
    huge = story.upload(size=2**70)
    with house.projecting():
        await house.send([("x", bus.aio_pika.Message(b"no event")), ("y", bus.aio_pika.Message(b"{}", message_id="1"))])
        await house.publish([*before, zero, huge[1], *after])
        await house.applied(kept(before + after))
        await house.check(before + after)


def project(environment: dict[str, str]) -> None:
    """Be a projector process: the server it is forked from may have been started by others, with their environment."""
    os.environ.update(environment)
    main("projector")


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[[], BaseProcess]]:
    """Starts projector processes, forked from one that has imported everything."""
    forks, started = multiprocessing.get_context("forkserver"), []
    forks.set_forkserver_preload(["codetect_analytics.__main__"])

    def start() -> BaseProcess:
        process = forks.Process(target=project, args=(environment,), daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


async def test_killed_again_and_again_while_events_flow(house: House, start: Callable[[], BaseProcess]) -> None:
    story, told, enough, chance = Story(), [], asyncio.Event(), random.Random(7)

    async def flow() -> None:
        while not enough.is_set():
            part = story.busy(2)
            told.extend(part)
            await house.publish(part)
            await asyncio.sleep(0.1)

    async def at() -> int:
        return (await house.sql('SELECT "offset" FROM cursor'))[0][0]

    reached = [-1]
    async with asyncio.TaskGroup() as flowing:
        flowing.create_task(flow())
        for _ in range(15):
            process = start()
            async with asyncio.timeout(30):
                while await at() == reached[-1]:
                    assert process.is_alive()
                    await asyncio.sleep(0.02)
            await asyncio.sleep(chance.uniform(0, 0.3))
            process.kill()
            process.join()
            reached.append(await at())
        enough.set()
    assert sorted(set(reached)) == reached
    start()
    await house.applied(kept(told), 60)
    await house.check(told)
    assert await told_of_epoch(house) == 0


async def test_the_connection_lost_before_each_statement_of_a_transaction(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, died_before = Story(), set()
    told = story.analysis()
    await house.publish(told)
    real = {name: getattr(asyncpg.Connection, name) for name in ("execute", "fetch")}
    for n in range(9):
        left = n

        async def bound(self: asyncpg.Connection, name: str, statement: str, *rest: object, **more: object) -> object:
            nonlocal left
            if self.is_in_transaction() and statement.strip() not in ("BEGIN;", "COMMIT;", "ROLLBACK;"):
                left -= 1
                if left == -1:
                    died_before.add(" ".join(statement.split()[:3]))
                    self.terminate()
                    raise ConnectionResetError("cut by the test")
            return await real[name](self, statement, *rest, **more)

        told += story.analysis()
        with house.projecting():
            await house.applied(kept(told) - 3)
            with monkeypatch.context() as patch:
                for name in real:
                    patch.setattr(asyncpg.Connection, name, functools.partialmethod(bound, name))
                await house.publish(told[-5:])
                await house.applied(kept(told))
    assert len(died_before) == 6, died_before
    await house.check(told)


async def test_a_recreated_stream_is_read_from_its_start(house: House) -> None:
    story = Story()
    told = [story.busy(20) for _ in range(4)]
    with house.projecting() as projector:
        await house.publish(told[0])
        await house.applied(kept(told[0]))
        await house.recreate_stream()
        await house.publish(told[1])
        await house.applied(kept(told[0] + told[1]))
        assert projector.facts["epoch"] == 1
        # Told while there was no stream: lost to it, until the relays send again what they sent since.
        async with bus.connect(house.settings.rabbitmq_url, "test") as connection:
            channel = await connection.channel()
            await channel.queue_delete(topology.LOG)
        await house.recreate_stream()
        await house.publish([*told[2], *told[1], *told[3]])
        everything = [e for part in told for e in part]
        await house.applied(kept(everything))
        await house.check(everything)
        assert projector.facts["epoch"] == 2


async def test_a_stream_recreated_while_no_projector_ran_is_noticed_although_it_is_longer(house: House) -> None:
    story = Story()
    first, second = story.busy(5), story.busy(30)
    with house.projecting():
        await house.publish(first)
        await house.applied(kept(first))
    await house.recreate_stream()
    await house.publish(second)
    with house.projecting():
        await house.applied(kept(first + second))
        await house.check(first + second)
    assert await told_of_epoch(house) == 1


async def test_of_two_projectors_one_works_and_the_other_takes_over(house: House) -> None:
    story = Story()
    first, second = story.busy(30), story.busy(30)
    with house.projecting() as standby:
        with house.projecting() as other:
            await house.publish(first)
            await house.applied(kept(first))
            async with asyncio.timeout(5):
                while "standby" not in (standby.facts["projector"], other.facts["projector"]):
                    await asyncio.sleep(0.1)
            await standby.check()
            await other.check()
        await house.publish(second)
        await house.applied(kept(first + second), 5)
        await house.check(first + second)


async def test_the_cursor_lets_only_one_of_two_commit_even_without_the_lock(house: House) -> None:
    story = Story()
    with house.projecting():
        await house.publish(story.upload())
        await house.applied(3)
    place = Place(**(await house.sql('SELECT epoch, "offset", anchor FROM cursor'))[0])
    batch = [(streams.Cursor(place.offset + 1, e.id), e) for e in [story.study()]]
    rivals = [Projector(house.settings.database_system_url, house.settings.rabbitmq_url, "") for _ in range(5)]
    connections = [await outbox.connect_directly(house.settings.database_system_url) for _ in rivals]
    outcomes = await asyncio.gather(
        *(r._apply(db, place, batch) for r, db in zip(rivals, connections, strict=True)), return_exceptions=True
    )
    for db in connections:
        await db.close()
    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Place), kinds.count(CursorTaken)) == (1, 4)
    assert (await house.sql("SELECT sum(n) FROM figures.studies"))[0][0] == 1


async def test_a_projector_of_another_version_makes_no_progress(house: House) -> None:
    story = Story()
    with house.projecting():
        await house.publish(story.upload())
        await house.applied(3)
        await house.sql("UPDATE cursor SET figures_version = figures_version + 1")
        db = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
        await house.publish([story.study()])
        # It meets figures it does not know, lets go of the lock, and makes its own first.
        await house.applied(4)
        assert (await house.sql("SELECT figures_version FROM cursor"))[0][0] == models.FIGURES_VERSION
        assert not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK)
        await db.close()
