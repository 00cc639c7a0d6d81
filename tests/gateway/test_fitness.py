"""How the platform fares, as operators see it: services, queues, and events that nobody could apply."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import httpx
from codetect_shared import bus, telling, topology, troubles
from codetect_shared.db import uuid7
from codetect_shared.events import FacilityReactivated
from codetect_shared.tokens import Role

from tests.gateway.conftest import DEMO, House, token

HEALTH, LETTERS = "/api/v1/platform/health", "/api/v1/platform/dead-letters"
ERRORS = "/api/v1/platform/errors"
QUEUE = topology.FACILITIES.name


def operator(house: House) -> httpx.AsyncClient:
    return house.client(DEMO, token(DEMO, Role.OPERATOR))


async def until(found: Callable[[], Awaitable[Any]], within_s: float = 20) -> Any:
    """The first answer that is something."""
    deadline = time.monotonic() + within_s
    while not (value := await found()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    return value


async def depth(client: httpx.AsyncClient, queue: str) -> int:
    said = (await client.get(HEALTH)).json()["queues"]
    return next(int(each["messages"]) for each in said if each["name"] == queue)


async def refuse(house: House) -> None:
    """A consumer that refuses one message for good, as one does after five tries."""
    async with bus.subscribe(house.rabbitmq, QUEUE, name="test", prefetch=1) as subscription:
        await (await subscription.get(20)).reject(requeue=False)


async def clear(house: House) -> None:
    async with bus.connect(house.rabbitmq, "test") as connection:
        channel = await connection.channel()
        await topology.declare(channel)
        for name in (QUEUE, topology.DEAD_LETTERS):
            await (await channel.get_queue(name)).purge()


async def given_back(house: House) -> int:
    """How often the dead letter was taken and given back, as the broker counts."""
    async with bus.connect(house.rabbitmq, "test") as connection:
        channel = await connection.channel()
        letter = await (await channel.get_queue(topology.DEAD_LETTERS)).get()
        assert letter
        await letter.nack(requeue=True)
        count = letter.headers.get("x-delivery-count", 0)
        assert isinstance(count, int)
        return count


async def test_services_say_whether_they_are_ready_and_one_that_is_away_is_called_so(house: House) -> None:
    async with operator(house) as client:
        said = (await client.get(HEALTH)).json()["services"]
    states = {each["name"]: each["state"] for each in said}
    assert states.keys() == {"auth", "ingest", "inference", "analytics"}
    assert states["analytics"] == "away"
    assert states["auth"] != "away"


async def test_queues_say_how_much_waits_and_who_listens(house: House) -> None:
    await clear(house)
    async with operator(house) as client:
        said = {each["name"]: each for each in (await client.get(HEALTH)).json()["queues"]}
        assert said.keys() == {
            *topology.JOB_QUEUES,
            *(queue.name for queue in topology.EVENT_QUEUES),
            topology.DEAD_LETTERS,
        }
        await house.tell(FacilityReactivated(facility_id=DEMO))
        await until(lambda: depth(client, QUEUE))
        async with bus.subscribe(house.rabbitmq, topology.UPLOADS_TO_IMPORT, name="test", prefetch=1):
            after = {each["name"]: each for each in (await client.get(HEALTH)).json()["queues"]}
    name = topology.UPLOADS_TO_IMPORT
    assert after[name]["consumers"] == said[name]["consumers"] + 1


async def test_a_dead_letter_is_looked_at_as_often_as_one_likes_and_sent_again_once(house: House) -> None:
    await clear(house)
    (event_id,) = await house.tell(FacilityReactivated(facility_id=DEMO))
    await refuse(house)
    async with operator(house) as client:
        await until(lambda: depth(client, topology.DEAD_LETTERS))
        for _ in range(30):  # more often than a message may be delivered
            (letter,) = (await client.get(LETTERS)).json()["items"]
        assert await given_back(house) < 20, "RabbitMQ 4 drops it then"
        assert UUID(letter["id"]) == event_id
        assert (letter["queue"], letter["reason"]) == (QUEUE, "rejected")
        assert letter["type"] == FacilityReactivated.type
        assert letter["subject"].startswith("facility/")
        assert letter["died_at"]
        assert "data" not in letter

        assert (await client.post(f"{LETTERS}/{uuid7()}/redeliver")).status_code == 404
        assert (await client.post(f"{LETTERS}/{event_id}/redeliver")).status_code == 204
        assert (await client.post(f"{LETTERS}/{event_id}/redeliver")).status_code == 404
        assert (await client.get(LETTERS)).json()["items"] == []
    async with bus.subscribe(house.rabbitmq, QUEUE, name="test", prefetch=1) as subscription:
        again = await subscription.get(20)
        assert bus.decode(again).id == event_id
        assert bus.decode(again).event() == FacilityReactivated(facility_id=DEMO)
        assert "x-death" not in again.headers
        await again.ack()


async def test_of_one_event_that_died_twice_the_one_that_is_meant_is_sent_again(house: House) -> None:
    await clear(house)
    (event_id,) = await house.tell(FacilityReactivated(facility_id=DEMO))
    async with bus.connect(house.rabbitmq, "test") as connection:
        channel = await connection.channel(publisher_confirms=True)
        elsewhere = aio_pika.Message(b"{}", message_id=str(event_id))  # from a queue that nobody knows
        await channel.default_exchange.publish(elsewhere, topology.DEAD_LETTERS)
    await refuse(house)
    async with operator(house) as client:
        await until(lambda: two(client))
        wrong = {"queue": topology.EVENT_QUEUES[-1].name}
        assert wrong["queue"] != QUEUE
        assert (await client.post(f"{LETTERS}/{event_id}/redeliver", params=wrong)).status_code == 404
        right = {"queue": QUEUE}
        assert (await client.post(f"{LETTERS}/{event_id}/redeliver", params=right)).status_code == 204
        (left,) = (await client.get(LETTERS)).json()["items"]
        assert left["queue"] is None
    await clear(house)


async def two(client: httpx.AsyncClient) -> bool:
    return await depth(client, topology.DEAD_LETTERS) == 2


async def test_without_the_broker_services_still_say_how_they_are(house: House) -> None:
    await house.line.cut()
    try:
        async with operator(house) as client:
            answer = await client.get(HEALTH)
        assert answer.status_code == 200
        assert (answer.json()["broker"], answer.json()["queues"]) == ("away", [])
        assert len(answer.json()["services"]) == 4
    finally:
        await house.line.mend()


async def test_what_is_no_event_is_shown_without_its_content(house: House) -> None:
    await clear(house)
    async with bus.connect(house.rabbitmq, "test") as connection:
        channel = await connection.channel(publisher_confirms=True)
        odd = aio_pika.Message(b"Doe^John", message_id=str(uuid7()), headers={"patient": "Doe^John"})
        await channel.default_exchange.publish(odd, topology.DEAD_LETTERS)
    async with operator(house) as client:
        await until(lambda: depth(client, topology.DEAD_LETTERS))
        answer = await client.get(LETTERS)
        assert "Doe" not in answer.text
        (letter,) = answer.json()["items"]
        assert (letter["type"], letter["queue"]) == (None, None)
        assert (await client.post(f"{LETTERS}/{letter['id']}/redeliver")).status_code == 404
    await clear(house)


async def test_what_went_wrong_in_any_process_is_told_to_operators_alone(house: House) -> None:
    async with operator(house) as client:
        process, said = f"test-{uuid7()}", "surprise"
        other_process = asyncio.create_task(telling.tell(house.rabbitmq))
        troubles.noticed(None, "error", {"event": said, "timestamp": datetime.now(UTC).isoformat(), "process": process})

        async def told() -> Any:
            answer = await client.get(ERRORS, params={"limit": 200})
            return [each for each in answer.json()["items"] if each["process"] == process]

        (one, *_) = await until(told)
        other_process.cancel()
        assert (one["said"], one["kind"], one["trace_id"]) == (said, None, None)
        newest = (await client.get(ERRORS, params={"limit": 1})).json()["items"]
        assert len(newest) == 1
        assert (await client.get(ERRORS, params={"limit": 1000})).status_code == 422
    async with house.client(DEMO, token(DEMO, Role.ADMIN)) as client:
        assert (await client.get(ERRORS)).status_code == 403
