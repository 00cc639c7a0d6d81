"""A reader of the change stream goes on where it was, and knows when the stream is another one."""

import asyncio

import pytest
from codetect_shared import bus, streams, topology
from codetect_shared.db import uuid7
from codetect_shared.streams import Cursor, StreamReplaced

from tests.shared.conftest import Shop
from tests.shared.test_bus import opened, publish


async def read(shop: Shop, after: Cursor | int, count: int) -> list[tuple[Cursor, bus.Envelope]]:
    found = []
    async with asyncio.timeout(10):
        async for item in streams.follow(shop.rabbitmq, "test", after):
            found.append(item)
            if len(found) == count:
                break
    return found


async def recreate(shop: Shop) -> None:
    async with bus.connect(shop.rabbitmq, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete(topology.LOG)
        await topology.declare(channel)


async def test_reading_goes_on_after_a_cursor(shop: Shop) -> None:
    last = await streams.last_offset(shop.rabbitmq, "test")
    start = 0 if last is None else last + 1
    await publish(shop, *(bus.encode(opened(shop, str(n)), "test") for n in range(6)))
    first = await read(shop, start, 3)
    rest = await read(shop, first[-1][0], 3)
    assert [e.data["slug"] for _, e in first + rest] == list("012345")
    assert rest[-1][0].offset == start + 5
    assert await streams.last_offset(shop.rabbitmq, "test") == start + 5


async def test_an_empty_stream_has_no_last_offset(shop: Shop) -> None:
    await recreate(shop)
    assert await streams.last_offset(shop.rabbitmq, "test") is None


async def test_a_recreated_stream_is_noticed_by_silence(shop: Shop) -> None:
    await publish(shop, bus.encode(opened(shop), "test"))
    last = await streams.last_offset(shop.rabbitmq, "test")
    assert last is not None
    (cursor, _), *_ = await read(shop, last, 1)
    await recreate(shop)
    with pytest.raises(StreamReplaced, match="silence"):
        await read(shop, cursor, 1)


async def test_a_recreated_stream_is_noticed_by_another_event_at_the_offset(shop: Shop) -> None:
    await recreate(shop)
    await publish(shop, bus.encode(opened(shop), "test"))
    with pytest.raises(StreamReplaced, match="another event"):
        await read(shop, Cursor(0, uuid7()), 1)


async def test_a_deleted_stream_ends_the_reading(shop: Shop) -> None:
    await publish(shop, bus.encode(opened(shop), "test"))

    async def to_the_end() -> None:
        async for _ in streams.follow(shop.rabbitmq, "test", 0):
            pass

    reading = asyncio.create_task(to_the_end())
    await asyncio.sleep(1)
    await recreate(shop)
    with pytest.raises(bus.BrokerLost):
        async with asyncio.timeout(5):
            await reading
