"""Audit rows have numbers without gaps, go with what they record, and reach auth's queue alone, in order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from codetect_shared import audit, bus, outbox, topology
from codetect_shared.audit import Actor, AuditUnavailable
from codetect_shared.crowds import BatchConsumer, Told
from codetect_shared.db import uuid7
from codetect_shared.events import AuditRecorded
from codetect_shared.origin import ORIGIN, Origin
from codetect_shared.telemetry import RequestTelemetry
from codetect_shared.tokens import Principal, Role
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.shared.conftest import Shop, Task
from tests.shared.test_bus import dead_letters, states
from tests.shared.test_outbox import end_of_log, heard, relaying, say


def somebody(shop: Shop) -> Principal:
    return Principal("someone", shop.facility, "demo", Role.MEMBER, session_id=uuid7())


async def record(shop: Shop, action: str = "thing.read", **rest: Any) -> None:
    async with shop.db.facility(shop.facility) as session:
        await audit.record(session, somebody(shop), action, **rest)


async def numbers(shop: Shop) -> list[int]:
    return [row["sequence"] for row in await shop.sql("SELECT sequence FROM audit ORDER BY sequence")]


async def test_many_at_once_are_numbered_without_gaps_and_told_in_that_order(shop: Shop) -> None:
    await asyncio.gather(*(record(shop) for _ in range(40)))
    assert await numbers(shop) == list(range(1, 41))
    told = await shop.sql("SELECT sequence, data FROM outbox ORDER BY id")
    assert [row["sequence"] for row in told] == list(range(1, 41))


async def test_what_is_rolled_back_takes_its_number_with_it(shop: Shop) -> None:
    await record(shop)
    with pytest.raises(ZeroDivisionError):
        async with shop.db.facility(shop.facility) as session:
            await audit.record(session, somebody(shop), "thing.change")
            raise ZeroDivisionError
    await record(shop)
    assert await numbers(shop) == [1, 2]


async def test_a_row_that_can_not_be_written_stops_what_it_records(shop: Shop) -> None:
    with pytest.raises(AuditUnavailable):
        async with shop.db.facility(shop.facility) as session:
            session.add(Task(facility_id=shop.facility))
            await audit.record(session, Actor("no\0text", shop.facility, "member"), "thing.change")
    assert await shop.sql("SELECT 1 FROM task") == []
    with pytest.raises(AuditUnavailable):  # another facility's trail is out of reach
        async with shop.db.facility(uuid7()) as session:
            await audit.record(session, somebody(shop), "thing.change")


async def test_the_same_look_is_one_row_a_minute_and_any_other_its_own(shop: Shop) -> None:
    who, study = somebody(shop), uuid7()

    async def look(action: str = "image.read", who: Principal = who, address: str = "10.0.0.1", **rest: Any) -> None:
        token = ORIGIN.set(Origin(address))
        try:
            async with shop.db.facility(shop.facility) as session:
                await audit.record_once(session, who, action, study_id=study, **rest)
        finally:
            ORIGIN.reset(token)

    for _ in range(3):
        await look()
    assert len(await numbers(shop)) == 1
    await look("study.read")
    await look(address="10.0.0.2")
    await look(who=somebody(shop))  # another login of the same person
    await look(target="series/1")
    assert len(await numbers(shop)) == 5
    await look(within_s=0)
    assert len(await numbers(shop)) == 6


async def test_rows_go_to_auths_queue_alone_and_not_into_the_stream(shop: Shop) -> None:
    task, start = await shop.add(), await end_of_log(shop)
    token = ORIGIN.set(Origin("192.0.2.1", "r-1"))
    study = uuid7()
    try:
        await record(shop, "thing.change", study_id=study, target="thing/7", detail={"n": 1})
    finally:
        ORIGIN.reset(token)
    got: list[AuditRecorded] = []

    async def keep(session: AsyncSession, told: Told) -> None:
        got.extend(event for event, _ in told if isinstance(event, AuditRecorded))

    async with relaying(shop), consuming(shop, keep):
        await say(shop, task)
        (envelope,) = await heard(shop, 1, start)
        async with asyncio.timeout(20):
            while not got:
                await asyncio.sleep(0.05)
    assert envelope.type == "codetect.upload.opened.v1"
    (event,) = got
    assert (event.number, event.service, event.action, event.target) == (1, "shop", "thing.change", "thing/7")
    assert (event.address, event.request_id, event.study_id, event.detail) == ("192.0.2.1", "r-1", study, {"n": 1})


@asynccontextmanager
async def consuming(shop: Shop, handler: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(BatchConsumer(shop.rabbitmq, topology.AUDIT, shop.db, handler, most=20).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_crowd_is_applied_in_order_and_one_bad_row_takes_no_other_with_it(shop: Shop) -> None:
    sizes: list[int] = []

    async def write(session: AsyncSession, told: Sequence[tuple[Any, bus.Envelope]]) -> None:
        sizes.append(len(told))
        session.add_all(Task(facility_id=shop.facility, state=f"{event.number:03}") for event, _ in told)
        if any(event.number == 30 for event, _ in told):
            raise bus.Reject("bad")

    before = await dead_letters(shop)
    async with shop.db.facility(shop.facility) as session:
        await audit.record_each(session, somebody(shop), "thing.read", [uuid7() for _ in range(60)])
    async with relaying(shop):
        async with asyncio.timeout(20):
            while await shop.sql("SELECT 1 FROM outbox WHERE sent_at IS NULL"):
                await asyncio.sleep(0.05)
    async with consuming(shop, write):
        assert await states(shop, 59) == [f"{n:03}" for n in range(1, 61) if n != 30]
        async with asyncio.timeout(20):
            while await dead_letters(shop) == before:
                await asyncio.sleep(0.05)
    assert max(sizes) > 1
    assert await dead_letters(shop) == before + 1


async def test_what_was_done_to_a_study_stays_when_its_events_are_forgotten(shop: Shop) -> None:
    study = uuid7()
    await record(shop, "study.erase", study_id=study)
    await shop.sql("UPDATE outbox SET sent_at = now()")
    async with shop.db.system() as session:
        assert await outbox.forget(session, study, b"k" * 16)
    (row,) = await shop.sql("SELECT data FROM outbox")
    assert str(study) in row["data"]


@pytest.mark.parametrize("statement", ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_only_the_owner_removes_rows_and_only_by_the_setting(shop: Shop, statement: str) -> None:
    await record(shop)
    owner = await asyncpg.connect(shop.owner_url)
    try:
        await owner.execute(f"SELECT set_config('codetect.facility', '{shop.facility}', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(statement)
        await owner.execute("SET codetect.audit_retention = 'on'")
        if statement.startswith("DELETE"):
            assert await owner.execute(statement) == "DELETE 1"
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)
    finally:
        await owner.close()
    async with shop.db.facility(shop.facility) as session:
        await session.execute(text("SET LOCAL codetect.audit_retention = 'on'"))
        with pytest.raises(Exception, match="permission denied"):
            await session.execute(text(statement))


@pytest.mark.parametrize(
    ("headers", "address", "request_id"),
    [
        ({}, "127.0.0.1", None),
        ({"X-Forwarded-For": "1.2.3.4, 203.0.113.8"}, "203.0.113.8", None),
        ({"X-Forwarded-For": "2001:db8::1", "X-Request-Id": "abc.1"}, "2001:db8::1", "abc.1"),
        ({"X-Forwarded-For": "<script>", "X-Request-Id": "a b"}, None, None),
    ],
)
async def test_where_a_request_comes_from(headers: dict[str, str], address: str | None, request_id: str | None) -> None:
    seen: list[Origin] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(ORIGIN.get())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    transport = httpx.ASGITransport(RequestTelemetry(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        await client.get("/", headers=headers)
    assert seen[0].address == address
    if "X-Request-Id" in headers:
        assert seen[0].request_id == request_id
    assert ORIGIN.get() == Origin()
