"""The broker: plain connections, batches with confirms, subscriptions that notice their end, and the event consumer.

Plain connections with our own reconnect loop: a robust consumer on a stream starts again at the wrong place after a
cut, and an iterator never ends when its queue is deleted.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from cloudevents.core.bindings import rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from codetect_shared import inbox, telemetry, topology
from codetect_shared.db import Database
from codetect_shared.events import CATALOGUE, Event

log = structlog.get_logger()
HEARTBEAT_S = 5
PUBLISH_TIMEOUT_S = 5
MAX_TRIES = 5


class BrokerLost(ConnectionError):
    """The connection, the channel or the consumer ended."""


class Retry(Exception):
    """A handler asks to be called again in a moment: something it needs is not there yet."""


class Reject(Exception):
    """A handler can never apply this message: it goes to the dead letters."""


# What says "the world is away", not "this message is bad": tried again without end.
TRANSIENT = (Retry, OSError, TimeoutError, DBAPIError, PoolTimeout, aio_pika.exceptions.AMQPError)
# SQLSTATE classes of errors that lie in the values themselves: 22 data exception, 23 integrity constraint violation.
OF_THE_VALUES = ("22", "23")


def is_transient(error: BaseException) -> bool:
    """Whether trying again later may help, however long it takes; a value that doesn't fit its column never will."""
    sqlstate = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return isinstance(error, TRANSIENT) and not (sqlstate or "").startswith(OF_THE_VALUES)


@dataclass(frozen=True)
class Envelope:
    """An event as it arrived: CloudEvents attributes and the payload."""

    id: UUID
    type: str
    time: datetime
    facility_id: UUID
    subject: str
    sequence: int
    data: dict[str, Any]
    traceparent: str | None = None

    def event(self) -> Event:
        """The payload as its catalogue class. Raises KeyError for a type this process does not know."""
        return CATALOGUE[self.type].model_validate(self.data)


def decode(message: AbstractIncomingMessage) -> Envelope:
    """Read a CloudEvents message; Reject when it is none."""
    try:
        headers = {name: str(value) for name, value in message.headers.items() if name.startswith("ce-")}
        event = rabbitmq.from_rabbitmq(
            rabbitmq.RabbitMQMessage(headers, message.content_type, message.body), JSONFormat()
        )
        a, data = event.get_attributes(), event.get_data()
        if not isinstance(data, dict):
            raise TypeError("the payload is no object")
        return Envelope(
            UUID(a["id"]),
            a["type"],
            a["time"],
            UUID(a["facility"]),
            a["subject"],
            int(a["sequence"]),
            data,
            a.get("traceparent"),
        )
    except Exception as error:
        raise Reject(f"not a CoDetect event: {error}") from error


def encode(envelope: Envelope, source: str) -> aio_pika.Message:
    """An event as a persistent CloudEvents 1.0 message in binary mode."""
    attributes = {
        "id": str(envelope.id),
        "source": f"/codetect/{source}",
        "type": envelope.type,
        "time": envelope.time,
        "subject": envelope.subject,
        "datacontenttype": "application/json",
        "facility": str(envelope.facility_id),
        "sequence": str(envelope.sequence),
    }
    if envelope.traceparent:
        attributes["traceparent"] = envelope.traceparent
    message = rabbitmq.to_binary(CloudEvent(attributes, envelope.data), JSONFormat())
    return aio_pika.Message(
        message.body,
        headers=dict(message.headers),
        content_type=message.content_type,
        message_id=str(envelope.id),
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


def look(job_id: str) -> aio_pika.Message:
    """A wake-up for a job queue: it says "look", and which row made us say so."""
    body = json.dumps({"id": job_id}).encode()
    return aio_pika.Message(
        body,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        timestamp=datetime.now(UTC),
    )


def heed_cancel() -> None:
    """End here if this task was cancelled and what it waited for kept that to itself.

    Libraries that wait with `asyncio.wait_for` do, up to Python 3.11, when the answer arrives at the same moment.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def connect(url: SecretStr, name: str) -> AsyncIterator[AbstractConnection]:
    """A plain connection with a short heartbeat, named in the broker's listing."""
    target = aio_pika.connection.make_url(url.get_secret_value()).update_query(heartbeat=str(HEARTBEAT_S), name=name)
    async with asyncio.timeout(10):
        connection = await aio_pika.connect(target, timeout=5)
    try:
        heed_cancel()
        yield connection
    finally:
        try:
            async with asyncio.timeout(2):
                await connection.close()
        except Exception as error:
            log.debug("broker close", error=repr(error))


class Subscription:
    """Messages of one queue in order, in one loop; raises BrokerLost when connection, channel or consumer ends."""

    def __init__(
        self, channel: AbstractChannel, queue: AbstractQueue, arguments: Mapping[str, Any] | None = None
    ) -> None:
        self._channel, self._queue, self._arguments = channel, queue, dict(arguments or {})
        self._messages: asyncio.Queue[AbstractIncomingMessage | None] = asyncio.Queue()
        self._tag: str | None = None

    async def open(self) -> None:
        """Start delivery."""
        underlay = await self._channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._ended)
        self._channel.close_callbacks.add(self._ended)
        self._tag = await self._queue.consume(self._arrived, arguments=self._arguments)

    async def _arrived(self, message: AbstractIncomingMessage) -> None:
        self._messages.put_nowait(message)

    def _ended(self, *_: Any) -> None:
        self._messages.put_nowait(None)

    async def pause(self) -> None:
        """Stop delivery and give back what was delivered besides the message in hand."""
        if self._tag is not None:
            await self._queue.cancel(self._tag)
            self._tag = None
        while not self._messages.empty():
            message = self._messages.get_nowait()
            if message is None:
                raise BrokerLost("subscription ended")
            await message.nack(requeue=True)

    def at_hand(self) -> AbstractIncomingMessage | None:
        """A message that has been delivered already; None when none has."""
        return None if self._messages.empty() else self._messages.get_nowait()

    async def resume(self) -> None:
        """Start delivery again after `pause`."""
        if self._tag is None:
            self._tag = await self._queue.consume(self._arrived, arguments=self._arguments)

    async def get(self, timeout: float | None = None) -> AbstractIncomingMessage:
        """The next message. Raises TimeoutError after `timeout` seconds, BrokerLost at the end."""
        async with asyncio.timeout(timeout):
            message = await self._messages.get()
        if message is None:
            raise BrokerLost("subscription ended")
        return message


@asynccontextmanager
async def subscribe(
    url: SecretStr, queue: str, *, name: str, prefetch: int, arguments: Mapping[str, Any] | None = None
) -> AsyncIterator[Subscription]:
    """A connection of its own, the topology declared, and a subscription to one queue."""
    async with connect(url, name) as connection:
        channel = await connection.channel()
        await topology.declare(channel)
        await channel.set_qos(prefetch_count=prefetch)
        subscription = Subscription(channel, await channel.get_queue(queue, ensure=False), arguments)
        await subscription.open()
        heed_cancel()
        yield subscription


async def publish_all(
    channel: AbstractChannel, exchange: AbstractExchange, messages: Iterable[tuple[str | None, str, aio_pika.Message]]
) -> None:
    """Publish (job queue or None, routing key, message) in order, pipelined; raises unless all are confirmed."""
    async with asyncio.timeout(PUBLISH_TIMEOUT_S):
        sends = [
            channel.default_exchange.publish(message, queue)
            if queue
            else exchange.publish(message, key, mandatory=False)
            for queue, key, message in messages
        ]
        await asyncio.gather(*sends)


async def forever(name: str, run: Callable[[], Awaitable[None]], slowest_s: float = 2.0) -> None:
    """Run again and again, waiting 0.1 s to `slowest_s` with jitter after a failure."""
    delay = 0.1
    while True:
        started = asyncio.get_running_loop().time()
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            heed_cancel()
            known = is_transient(error)
            log.warning("interrupted", part=name, error=repr(error), exc_info=None if known else error)
        if asyncio.get_running_loop().time() - started > 10:
            delay = 0.1
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
        delay = min(delay * 2, slowest_s)


Handler = Callable[..., Awaitable[None]]


class EventConsumer:
    """Applies one event queue to one service's database: inbox row and effect in one transaction, ack after its commit.

    `handlers` maps event classes to `async def handler(session, event, envelope)`.
    """

    def __init__(
        self, url: SecretStr, queue: topology.EventQueue, db: Database, handlers: Mapping[type[Event], Handler]
    ) -> None:
        self._url, self._queue, self._db = url, queue, db
        self._handlers = {event.type: handler for event, handler in handlers.items()}

    async def run(self) -> None:
        """Consume until cancelled, through every interruption."""
        await forever(self._queue.name, self._consume)

    async def _consume(self) -> None:
        async with subscribe(self._url, self._queue.name, name=self._queue.name, prefetch=20) as subscription:
            while True:
                message = await subscription.get()
                if await self._settle(message):
                    await message.ack()
                else:
                    await message.reject(requeue=False)

    async def _settle(self, message: AbstractIncomingMessage) -> bool:
        """Apply a message, trying again in place so that order holds; False: it is for the dead letters."""
        tries, delay = 0, 0.2
        while True:
            try:
                await self._apply(decode(message))
                return True
            except Exception as error:
                tries += not is_transient(error)
                if isinstance(error, Reject) or tries >= MAX_TRIES:
                    log.error("dead letter", queue=self._queue.name, message_id=message.message_id, exc_info=error)
                    return False
                log.warning("will try again", queue=self._queue.name, error=repr(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5)
            if message.channel.is_closed:
                raise BrokerLost("channel closed while trying again")

    async def _apply(self, envelope: Envelope) -> None:
        handler = self._handlers.get(envelope.type)
        if handler is None:
            raise Reject(f"no handler for {envelope.type}")
        with telemetry.handling(envelope, self._queue.name):
            async with self._db.facility(envelope.facility_id) as session:
                if await inbox.first_time(session, self._queue.name, envelope.id):
                    await handler(session, envelope.event(), envelope)
