"""How the platform fares, for operators: whether services are ready, how full queues are, what nobody could apply.

Nothing of a facility's data is shown: of an event its type, its ids and its trace, never its payload.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from codetect_shared import bus, telling, topology
from codetect_shared.problems import Forbidden, NotFound, ServiceUnavailable, Unauthenticated, responses
from codetect_shared.tokens import Role, bearer
from codetect_shared.troubles import Trouble
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.json_schema import SkipJsonSchema

from codetect_gateway.browsers import CrossSite, LoginEnded
from codetect_gateway.context import Gateway, gateway_of
from codetect_gateway.door import UnknownHost
from codetect_gateway.limits import TooFast
from codetect_gateway.parts import Part, PartUnavailable

NAME = "gateway.fitness"
MOST_LETTERS = 100
COUNTS = ("x-delivery-count", "x-acquired-count")
# RabbitMQ 4 drops what was given back 20 times, where a queue says nothing else; what says so to it, 3.10 refuses.
MOST_LOOKS = 10
NOT_OURS = {*COUNTS, "x-death", "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason"}
NOT_OURS |= {"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason"}
Checks = TypeAdapter(dict[str, str])


class BrokerAway(ServiceUnavailable):
    """The message broker does not answer; try again in a few seconds."""


class LetterNotFound(NotFound):
    """There is no such dead letter: it may have been sent again already."""


async def operators(request: Request) -> Gateway:
    """Let operators in, with a token or a browser's login."""
    gateway = gateway_of(request)
    who = (await gateway.door.admit(request)).principal
    if who is None:
        raise Unauthenticated
    if who.role is not Role.OPERATOR:
        raise Forbidden
    return gateway


router = APIRouter(
    prefix="/api/v1/platform",
    tags=["platform"],
    dependencies=[Depends(bearer)],  # for the document: the door checks it, or the cookie
    responses=responses(Unauthenticated, LoginEnded, CrossSite, Forbidden, UnknownHost, TooFast, ServiceUnavailable),
)
GatewayDep = Annotated[Gateway, Depends(operators)]


class Fitness(BaseModel):
    """Whether a service can do its work."""

    name: str
    state: Literal["ready", "unready", "away"] = Field(description="`away`: its API doesn't answer at all.")
    checks: dict[str, str] = Field(description="What it needs, and `ok` or what is wrong with it.")


class QueueOut(BaseModel):
    """How much waits in a queue."""

    name: str
    kind: Literal["jobs", "events", "dead_letters"] = Field(
        description="Of `jobs` the messages are mere wake-ups, and consumers are workers that are free: one that is at "
        "work doesn't listen. `events` wait for their consumer."
    )
    messages: int = Field(ge=0)
    consumers: int = Field(ge=0)


class Health(BaseModel):
    """The platform at a glance."""

    services: list[Fitness]
    broker: Literal["ready", "away"] = Field(description="`away`: what waits in its queues isn't known.")
    queues: list[QueueOut]


class DeadLetter(BaseModel):
    """An event that a consumer refused for good, or tried in vain."""

    id: UUID = Field(description="The event's.")
    queue: str | None = Field(description="Where it couldn't be applied; null: unknown, so it can't be sent again.")
    reason: str | None = Field(description="What the broker says: `rejected`, `delivery_limit`.")
    died_at: datetime | None
    type: str | None = Field(description="Null: it is no event of CoDetect's.")
    subject: str | None
    facility_id: UUID | None
    happened_at: datetime | None
    trace_id: str | None = Field(description="Finds the error in logs and traces.")


class DeadLetters(BaseModel):
    """The oldest of them; `messages` in `health` says how many there are."""

    items: list[DeadLetter]
    next: None = None


class Troubles(BaseModel):
    """The newest errors, newest first; the broker keeps them for a week."""

    items: list[Trouble]
    next: None = None


@router.get("/health")
async def get_platform_health(gateway: GatewayDep) -> Health:
    """Services, queues and their consumers, at this moment."""
    services, queues = await asyncio.gather(
        asyncio.gather(*(_fitness(part) for part in gateway.parts.values())), _queues(gateway)
    )
    return Health(services=services, broker="away" if queues is None else "ready", queues=queues or [])


@router.get("/dead-letters")
async def list_dead_letters(gateway: GatewayDep) -> DeadLetters:
    """The oldest hundred, without what they say."""
    async with _held(gateway) as (_channel, letters):
        return DeadLetters(items=[shown for letter in letters if (shown := _shown(letter))])


@router.post("/dead-letters/{event_id}/redeliver", status_code=204, responses=responses(LetterNotFound))
async def redeliver_dead_letter(
    gateway: GatewayDep,
    event_id: Annotated[UUID, Path(description="The event's.")],
    queue: Annotated[
        str | SkipJsonSchema[None], Query(description="Which of its dead letters; else the oldest.")
    ] = None,
) -> None:
    """Put it back into the queue that it fell out of; what was applied already isn't applied twice."""
    async with _held(gateway) as (channel, letters):
        for letter in letters:
            shown = _shown(letter)
            if shown and shown.id == event_id and shown.queue and queue in (None, shown.queue):
                return await _move(channel, letter, shown.queue, NOT_OURS)
    raise LetterNotFound


@router.get("/errors")
async def list_recent_errors(
    gateway: GatewayDep, limit: Annotated[int, Query(ge=1, le=200, description="How many.")] = 50
) -> Troubles:
    """What went wrong lately in any process: when, where and of what kind, with the ids that find it in logs."""
    try:
        return Troubles(items=await telling.latest(gateway.settings.rabbitmq_url, limit))
    except bus.TRANSIENT as error:
        raise BrokerAway from error


async def _fitness(part: Part) -> Fitness:
    try:
        answer = await part.get("/readyz")
        checks = Checks.validate_python(answer.json()["checks"])
    except PartUnavailable:
        return Fitness(name=part.name, state="away", checks={})
    except (ValueError, KeyError, TypeError, ValidationError):
        return Fitness(name=part.name, state="unready", checks={})
    return Fitness(name=part.name, state="ready" if answer.status_code == 200 else "unready", checks=checks)


async def _queues(gateway: Gateway) -> list[QueueOut] | None:
    """None: the broker is away."""
    kinds: dict[str, Literal["jobs", "events", "dead_letters"]] = {
        **dict.fromkeys(topology.JOB_QUEUES, "jobs"),
        **{queue.name: "events" for queue in topology.EVENT_QUEUES},
        topology.DEAD_LETTERS: "dead_letters",
    }
    try:
        async with _channel(gateway) as channel:
            found = []
            for name, kind in kinds.items():
                said = (await channel.declare_queue(name, passive=True)).declaration_result
                counts = {"messages": said.message_count or 0, "consumers": said.consumer_count or 0}
                found.append(QueueOut(name=name, kind=kind, **counts))
            return found
    except BrokerAway:
        return None


@asynccontextmanager
async def _channel(gateway: Gateway) -> AsyncIterator[AbstractChannel]:
    try:
        async with bus.connect(gateway.settings.rabbitmq_url, NAME) as connection:
            channel = await connection.channel(publisher_confirms=True)
            await topology.declare(channel)
            yield channel
    except bus.TRANSIENT as error:
        raise BrokerAway from error


@asynccontextmanager
async def _held(gateway: Gateway) -> AsyncIterator[tuple[AbstractChannel, list[AbstractIncomingMessage]]]:
    """The oldest dead letters, in hand; those that aren't acked go back in the end."""
    async with _channel(gateway) as channel:
        queue = await channel.get_queue(topology.DEAD_LETTERS, ensure=False)
        letters: list[AbstractIncomingMessage] = []
        while len(letters) < MOST_LETTERS and (letter := await queue.get(fail=False)):
            letters.append(letter)
        try:
            yield channel, letters
        finally:
            for letter in letters:
                if letter.processed:
                    continue
                if max(_count(letter, name) for name in COUNTS) < MOST_LOOKS:
                    await letter.nack(requeue=True)
                else:
                    await _move(channel, letter, topology.DEAD_LETTERS, COUNTS)


async def _move(
    channel: AbstractChannel, letter: AbstractIncomingMessage, queue: str, without: Collection[str]
) -> None:
    """Into this queue, without these headers, and then out of where it was: killed in between, it is there twice."""
    again = aio_pika.Message(
        letter.body,
        headers={name: value for name, value in letter.headers.items() if name not in without},
        content_type=letter.content_type,
        message_id=letter.message_id,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    async with asyncio.timeout(bus.PUBLISH_TIMEOUT_S):
        await channel.default_exchange.publish(again, queue)
    await letter.ack()


def _count(letter: AbstractIncomingMessage, header: str) -> int:
    value = letter.headers.get(header)
    return value if isinstance(value, int) else 0


def _shown(letter: AbstractIncomingMessage) -> DeadLetter | None:
    """What an operator may know of it; None where it has no id to be called by."""
    try:
        id_ = UUID(letter.message_id)
    except (TypeError, ValueError):
        return None
    deaths = letter.headers.get("x-death")
    death = deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
    queue, reason, at = death.get("queue"), death.get("reason"), death.get("time")
    known = {queue.name for queue in topology.EVENT_QUEUES}
    try:
        event = bus.decode(letter)
    except bus.Reject:
        event = None
    return DeadLetter(
        id=id_,
        queue=queue if queue in known else None,
        reason=str(reason) if reason else None,
        died_at=at if isinstance(at, datetime) else None,
        type=event and event.type,
        subject=event and event.subject,
        facility_id=event and event.facility_id,
        happened_at=event and event.time,
        trace_id=event.traceparent.split("-")[1] if event and event.traceparent else None,
    )
