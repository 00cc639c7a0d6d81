"""Errors on their way to operators: sent to the stream `codetect.errors`, and read from its end."""

import asyncio
from contextlib import suppress

import aio_pika
from pydantic import SecretStr, ValidationError

from codetect_shared import bus, streams, topology
from codetect_shared.troubles import Trouble, waiting

NAME = "errors"
LOOK_S = 1.0
AWAY_S = 5.0
LAST_S = 2.0


async def tell(url: SecretStr) -> None:
    """Send what waits until cancelled, and at the end once more: what ends a process is told, too.

    While the broker is away it waits, and nothing is logged of it here. No trouble of its own ends the process.
    """

    async def rounds() -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await _send(url)
            except bus.TRANSIENT:
                await asyncio.sleep(AWAY_S)

    try:
        await bus.forever(NAME, rounds)
    finally:
        last = asyncio.create_task(_send(url))  # this one is being cancelled, which connecting heeds
        await asyncio.wait([last], timeout=LAST_S)
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)


async def _send(url: SecretStr) -> None:
    if not waiting:
        return
    async with asyncio.timeout(bus.PUBLISH_TIMEOUT_S), bus.connect(url, NAME) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await topology.declare(channel)
        while waiting:
            body = waiting[0]
            message = aio_pika.Message(
                body, content_type="application/json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            )
            await channel.default_exchange.publish(message, topology.ERRORS)
            with suppress(ValueError):  # meanwhile newer ones may have pushed it out
                waiting.remove(body)


async def latest(url: SecretStr, count: int) -> list[Trouble]:
    """The newest ones, newest first. Raises what `bus.TRANSIENT` lists while the broker is away."""
    last = await streams.last_offset(url, NAME, topology.ERRORS)
    if last is None:
        return []
    found: list[Trouble] = []
    start = max(0, last - count + 1)
    async with bus.subscribe(
        url, topology.ERRORS, name=NAME, prefetch=count, arguments={"x-stream-offset": start}
    ) as stream:
        while True:
            message = await stream.get(streams.SILENCE_S)
            await message.ack()
            offset = streams.offset_of(message)
            if offset >= start:
                with suppress(ValidationError):  # of a newer version
                    found.append(Trouble.model_validate_json(message.body))
            if offset >= last:
                return found[::-1]
