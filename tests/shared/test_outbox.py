"""Whatever happened is told at least once, in order, and only when it was committed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from codetect_shared import bus, outbox, streams
from codetect_shared.db import uuid7
from codetect_shared.events import UploadOpened
from codetect_shared.outbox import Relay, tell

from tests.shared.conftest import Shop, Task


@asynccontextmanager
async def relaying(shop: Shop) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Relay(shop.system_url, shop.rabbitmq, "shop").run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def say(shop: Shop, task: Task, upload_id: UUID | None = None) -> None:
    async with shop.db.facility(shop.facility) as session:
        row = await session.get_one(Task, task.id)
        await tell(session, row, UploadOpened(upload_id=upload_id or task.id, priority="routine"))


async def heard(shop: Shop, count: int, start: int) -> list[bus.Envelope]:
    """The next `count` events of this shop's facility in the stream."""
    found: list[bus.Envelope] = []
    async with asyncio.timeout(20):
        async for _, envelope in streams.follow(shop.rabbitmq, "test", start):
            if envelope.facility_id == shop.facility:
                found.append(envelope)
                if len(found) == count:
                    break
    return found


async def end_of_log(shop: Shop) -> int:
    last = await streams.last_offset(shop.rabbitmq, "test")
    return 0 if last is None else last + 1


async def test_an_event_reaches_the_stream_with_its_attributes(shop: Shop) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    async with relaying(shop):
        await say(shop, task)
        (envelope,) = await heard(shop, 1, start)
    assert (envelope.type, envelope.subject, envelope.sequence) == ("codetect.upload.opened.v1", f"upload/{task.id}", 1)
    assert envelope.event() == UploadOpened(upload_id=task.id, priority="routine")


async def test_concurrent_changes_of_one_aggregate_are_told_in_order(shop: Shop) -> None:
    tasks, start = [await shop.add(), await shop.add()], await end_of_log(shop)
    async with relaying(shop):
        await asyncio.gather(*(say(shop, task) for _ in range(40) for task in tasks))
        envelopes = await heard(shop, 80, start)
    for task in tasks:
        assert [e.sequence for e in envelopes if e.subject.endswith(str(task.id))] == list(range(1, 41))


async def test_what_was_rolled_back_is_not_told(shop: Shop) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    async with relaying(shop):
        with pytest.raises(RuntimeError):
            async with shop.db.facility(shop.facility) as session:
                await tell(
                    session, await session.get_one(Task, task.id), UploadOpened(upload_id=uuid7(), priority="urgent")
                )
                raise RuntimeError
        await say(shop, task)
        (envelope,) = await heard(shop, 1, start)
    assert envelope.sequence == 1
    assert envelope.data["upload_id"] == str(task.id)


async def test_killed_between_publish_and_mark_it_tells_again_under_the_same_id(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    monkeypatch.setattr(outbox, "MARK_SENT", "SELECT pg_terminate_backend(pg_backend_pid()), $1::bigint[]")
    async with relaying(shop):
        await say(shop, task)
        first, second = await heard(shop, 2, start)
        monkeypatch.undo()
        assert first.id == second.id
        async with asyncio.timeout(10):
            while await shop.sql("SELECT 1 FROM outbox WHERE sent_at IS NULL"):
                await asyncio.sleep(0.05)


async def test_a_standby_takes_over_within_seconds_and_nothing_is_lost(shop: Shop) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    async with relaying(shop) as first:
        await say(shop, task)
        await heard(shop, 1, start)
        async with relaying(shop):
            await asyncio.sleep(0.3)
            first.cancel()
            began = asyncio.get_running_loop().time()
            for _ in range(10):
                await say(shop, task)
            envelopes = await heard(shop, 11, start)
            assert asyncio.get_running_loop().time() - began < 5
    assert [e.sequence for e in envelopes] == list(range(1, 12))


async def test_waiting_events_leave_in_batches(shop: Shop) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    async with shop.db.facility(shop.facility) as session:
        row = await session.get_one(Task, task.id)
        await tell(session, row, *(UploadOpened(upload_id=uuid7(), priority="routine") for _ in range(500)))
    async with relaying(shop):
        envelopes = await heard(shop, 500, start)
    assert [e.sequence for e in envelopes] == list(range(1, 501))
