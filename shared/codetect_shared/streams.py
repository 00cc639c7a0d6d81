"""Reading the change stream `codetect.log`: from a cursor on, noticing a recreated stream.

A cursor is (offset, id of the event at that offset). A reader consumes from the cursor's own offset; the first message
must have that offset and id and is skipped. Anything else, or 2 s of silence, means that this is another stream.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr

from codetect_shared import bus, topology

PREFETCH = 200
SILENCE_S = 2.0


class StreamReplaced(Exception):
    """The stream does not hold the cursor's event where it should: it was recreated, or has forgotten it."""


@dataclass(frozen=True)
class Cursor:
    """The last event applied."""

    offset: int
    event_id: UUID


async def follow(url: SecretStr, name: str, after: Cursor | int) -> AsyncIterator[tuple[Cursor, bus.Envelope]]:
    """Events after a cursor, or from an offset on, as they come. Raises StreamReplaced, BrokerLost.

    A message that is no event of ours is passed over, but for its offset.
    """
    start = after.offset if isinstance(after, Cursor) else after
    async with bus.subscribe(
        url, topology.LOG, name=name, prefetch=PREFETCH, arguments={"x-stream-offset": start}
    ) as stream:
        if isinstance(after, Cursor):
            try:
                message = await stream.get(SILENCE_S)
            except TimeoutError:
                raise StreamReplaced(f"silence at offset {after.offset}") from None
            if (offset_of(message), message.message_id) != (after.offset, str(after.event_id)):
                raise StreamReplaced(f"another event at offset {after.offset}")
            await message.ack()
        while True:
            message = await stream.get()
            await message.ack()
            offset = offset_of(message)
            if offset < start:
                continue
            try:
                envelope = bus.decode(message)
            except bus.Reject as error:
                bus.log.error("not an event in the stream", offset=offset, error=str(error))
                continue
            yield Cursor(offset, envelope.id), envelope


async def last_offset(url: SecretStr, name: str, queue: str = topology.LOG) -> int | None:
    """Offset of a stream's newest message; None when it is empty."""
    async with bus.subscribe(url, queue, name=name, prefetch=PREFETCH, arguments={"x-stream-offset": "last"}) as stream:
        newest = None
        try:
            while True:
                message = await stream.get(1.0 if newest is None else 0.2)
                await message.ack()
                newest = offset_of(message)
        except TimeoutError:
            return newest


def offset_of(message: AbstractIncomingMessage) -> int:
    """The stream offset a message was read at."""
    return int(str(message.headers["x-stream-offset"]))
