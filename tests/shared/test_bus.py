"""An event queue is applied in order and once; poison goes to the dead letters and takes no innocents with it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import FacilityOpened
from sqlalchemy.ext.asyncio import AsyncSession

from tests.shared.conftest import Shop, Task


def opened(shop: Shop, slug: str = "demo", event_id: UUID | None = None) -> bus.Envelope:
    event = FacilityOpened(facility_id=shop.facility, slug=slug)
    return bus.Envelope(
        event_id or uuid7(),
        event.type,
        datetime.now(UTC),
        shop.facility,
        "facility/x",
        1,
        event.model_dump(mode="json"),
    )


async def publish(shop: Shop, *messages: aio_pika.Message) -> None:
    async with bus.connect(shop.rabbitmq, "test") as connection:
        channel = await connection.channel()
        exchange = await topology.declare(channel)
        await bus.publish_all(channel, exchange, [(None, FacilityOpened.type, message) for message in messages])


class Notebook:
    """A handler that writes a row per event, and fails where a test says so."""

    def __init__(self, failures: dict[str, list[Exception]] | None = None) -> None:
        self.failures, self.tried = failures or {}, list[str]()

    async def __call__(self, session: AsyncSession, event: FacilityOpened, envelope: bus.Envelope) -> None:
        self.tried.append(event.slug)
        session.add(Task(facility_id=envelope.facility_id, state=event.slug))
        if pending := self.failures.get(event.slug):
            await session.flush()
            raise pending.pop(0)


@asynccontextmanager
async def consuming(shop: Shop, handler: Any) -> AsyncIterator[None]:
    consumer = bus.EventConsumer(shop.rabbitmq, topology.FACILITIES, shop.db, {FacilityOpened: handler})
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def states(shop: Shop, count: int) -> list[str]:
    """The rows written, once there are `count`, in order."""
    async with asyncio.timeout(20):
        while len(rows := await shop.sql("SELECT state FROM task ORDER BY id")) < count:
            await asyncio.sleep(0.05)
    return [row["state"] for row in rows]


async def dead_letters(shop: Shop) -> int:
    async with bus.connect(shop.rabbitmq, "test") as connection:
        queue = await (await connection.channel()).declare_queue(topology.DEAD_LETTERS, passive=True)
        return queue.declaration_result.message_count or 0


async def test_a_consumer_that_starts_for_the_first_time_gets_what_was_sent_before(shop: Shop) -> None:
    await publish(shop, *(bus.encode(opened(shop, str(n)), "test") for n in range(5)))
    async with consuming(shop, Notebook()):
        assert await states(shop, 5) == list("01234")


async def test_a_message_that_comes_twice_counts_once(shop: Shop) -> None:
    twice = opened(shop, "twice")
    async with consuming(shop, Notebook()):
        await publish(shop, bus.encode(twice, "test"))
        await publish(shop, bus.encode(twice, "test"), bus.encode(opened(shop, "last"), "test"))
        assert await states(shop, 2) == ["twice", "last"]


async def test_a_failing_world_is_waited_for_in_order(shop: Shop) -> None:
    notebook = Notebook({"a": [bus.Retry(), OSError("away"), TimeoutError()] * 2})
    async with consuming(shop, notebook):
        await publish(shop, *(bus.encode(opened(shop, slug), "test") for slug in "ab"))
        assert await states(shop, 2) == ["a", "b"]
    assert notebook.tried == ["a"] * 7 + ["b"]


async def test_a_value_that_fits_no_column_is_poison_too(shop: Shop) -> None:
    async def handler(session: AsyncSession, event: FacilityOpened, envelope: bus.Envelope) -> None:
        session.add(Task(facility_id=envelope.facility_id, state=event.slug, attempts=2**40 * (event.slug == "huge")))

    async with consuming(shop, handler):
        await publish(shop, *(bus.encode(opened(shop, slug), "test") for slug in ["huge", "fine"]))
        assert await states(shop, 1) == ["fine"]
    assert await dead_letters(shop) == 1


async def test_poison_is_a_dead_letter_after_five_tries_and_the_rest_goes_on(shop: Shop) -> None:
    notebook = Notebook({"poison": [ValueError("always")] * 99})
    async with consuming(shop, notebook):
        await publish(shop, *(bus.encode(opened(shop, slug), "test") for slug in ["poison", "fine"]))
        assert await states(shop, 1) == ["fine"]
    assert notebook.tried.count("poison") == bus.MAX_TRIES
    assert await dead_letters(shop) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", json.dumps({"a": 1}).encode()])
async def test_what_is_no_event_is_a_dead_letter_at_once(shop: Shop, body: bytes) -> None:
    async with consuming(shop, Notebook()):
        await publish(shop, aio_pika.Message(body), bus.encode(opened(shop, "fine"), "test"))
        assert await states(shop, 1) == ["fine"]
    assert await dead_letters(shop) == 1


async def test_consuming_goes_on_after_its_queue_was_deleted(shop: Shop) -> None:
    async with consuming(shop, Notebook()):
        await publish(shop, bus.encode(opened(shop, "before"), "test"))
        await states(shop, 1)
        async with bus.connect(shop.rabbitmq, "test") as connection:
            await (await connection.channel()).queue_delete(topology.FACILITIES.name)
        await asyncio.sleep(1)
        await publish(shop, bus.encode(opened(shop, "after"), "test"))
        assert await states(shop, 2) == ["before", "after"]


async def test_a_part_that_is_to_end_ends_although_a_library_kept_it_to_itself() -> None:
    """`asyncio.wait_for` loses a cancellation that comes with its answer (Python 3.11): a process would never stop."""
    rounds = 0

    async def deaf() -> None:
        nonlocal rounds
        rounds += 1
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        raise ConnectionError("broken, and the cancellation lost")

    task = asyncio.create_task(bus.forever("test", deaf))
    await asyncio.sleep(0.05)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert rounds == 1


async def test_a_connection_that_came_with_the_end_is_not_begun_with(shop: Shop) -> None:
    begun = asyncio.Event()

    async def connects() -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        async with bus.connect(shop.rabbitmq, "test"):
            begun.set()
            await asyncio.sleep(10)

    async with asyncio.timeout(8):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(connects())
    assert not begun.is_set()
