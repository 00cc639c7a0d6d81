"""The live socket: who may open one, and that nobody who comes back has missed anything."""

import asyncio
import json
import socket
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from codetect_gateway import tickets
from codetect_shared import bus, topology
from codetect_shared.db import Database, uuid7
from codetect_shared.events import (
    AccessRefused,
    FacilityOpened,
    FacilitySuspended,
    PersonAuthenticated,
    SessionEnded,
    UploadOpened,
    UploadRefused,
)
from codetect_shared.tokens import Role
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.gateway.conftest import (
    DEMO,
    OTHER,
    SOCKETS_PER_PERSON,
    House,
    frames,
    gateway,
    numbers,
    person,
    progress,
    token,
)


async def closed(house: House, first: str | bytes | None, slug: str = "demo", **options: Any) -> int:
    """The code a socket is closed with after this first frame."""
    async with house.dial(slug, **options) as socket, asyncio.timeout(15):
        try:
            if first is not None:
                await socket.send(first)
            await socket.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 1006
    raise AssertionError("it stayed open")


async def test_an_event_becomes_a_frame(house: House) -> None:
    event = progress(7)
    async with house.socket() as socket:
        ready, *_ = await frames(socket, 1)
        await house.tell(event)
        frame, *_ = await frames(socket, 1)
    assert ready["type"] == "ready"
    assert frame["type"] == "codetect.analysis.progressed.v1"
    assert frame["data"] == event.model_dump(mode="json") | {
        "facility_id": str(DEMO),
        "subject": frame["data"]["subject"],
        "sequence": house.sequence,
    }
    assert frame["data"]["subject"].startswith("analysis/")
    assert frame["time"].endswith("Z")
    assert frame["cursor"] != ready["cursor"]


async def test_only_what_people_may_see_of_their_own_facility_is_told(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        await house.tell(progress(1), facility=OTHER)
        await house.tell(
            PersonAuthenticated(person_id=uuid7(), method="totp"), FacilityOpened(facility_id=DEMO, slug="demo")
        )
        await house.tell(UploadOpened(upload_id=uuid7(), priority="routine"), progress(2))
        told = await frames(socket, 2)
    assert [frame["type"] for frame in told] == ["codetect.upload.opened.v1", "codetect.analysis.progressed.v1"]


async def test_a_ticket_is_for_one_socket(house: House) -> None:
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})
    async with house.dial() as socket:
        await socket.send(first)
        await frames(socket, 1)
        assert await closed(house, first) == 4401
        assert await closed(house, first, gateway=house.second) == 4401


async def test_of_fifty_sockets_with_one_ticket_one_opens(house: House) -> None:
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})

    async def opened(number: int) -> bool:
        async with house.dial(gateway=house.second if number % 2 else house.gateway) as socket:
            await socket.send(first)
            try:
                return "ready" in str(await socket.recv())
            except ConnectionClosed:
                return False

    assert sum(await asyncio.gather(*map(opened, range(50)))) == 1


async def test_a_ticket_is_good_at_every_gateway_process(house: House) -> None:
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})
    async with house.dial(gateway=house.second) as socket:
        await socket.send(first)
        assert (await frames(socket, 1))[0]["type"] == "ready"


async def test_an_old_ticket_is_refused(house: House) -> None:
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})
    await house.sql("UPDATE ticket SET expires_at = expires_at - interval '30 s'")
    assert await closed(house, first) == 4401


async def test_tickets_that_nobody_used_are_swept(house: House) -> None:
    await house.ticket()
    await house.sql("UPDATE ticket SET expires_at = expires_at - interval '31 s'")
    db = Database(*(SecretStr(house.environment[f"CODETECT_GATEWAY_DATABASE_{role}URL"]) for role in ("", "SYSTEM_")))
    await tickets.sweep(db)
    await db.close()
    assert await house.sql("SELECT count(*) FROM ticket") == [(0,)]


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{}",
        "no",
        '{"ticket": 1}',
        '{"ticket": "unknown"}',
        b'{"ticket": "binary"}',
        '{"ticket": "' + "x" * 200 + '"}',
        None,
    ],
)
async def test_without_a_good_ticket_nobody_stays(house: House, first: str | bytes | None) -> None:
    assert await closed(house, first) == 4401


async def test_a_ticket_opens_nothing_at_another_facility(house: House) -> None:
    first = json.dumps({"ticket": (await house.ticket(DEMO))["ticket"]})
    assert await closed(house, first, "other") == 4401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://other.localhost", "http://demo.localhost:1"])
async def test_another_sites_page_opens_nothing(house: House, origin: str) -> None:
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})
    assert await closed(house, first, origin=origin) == 4403


async def test_the_facilitys_own_page_and_programs_open_one(house: House) -> None:
    async with house.socket(origin=f"http://demo.localhost:{house.gateway.port}") as socket:
        assert (await frames(socket, 1))[0]["type"] == "ready"


async def test_a_large_frame_closes(house: House) -> None:
    assert await closed(house, "x" * 5000) == 1009


async def test_whoever_goes_on_talking_is_cut_off(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        await socket.send("hello")
        with pytest.raises(ConnectionClosed, match="1008"):
            await socket.recv()


async def test_a_socket_ends_with_the_token(house: House) -> None:
    async with house.socket(bearer=token(lifetime_s=3)) as socket:
        await frames(socket, 1)
        with pytest.raises(ConnectionClosed, match="4401"):
            async with asyncio.timeout(5):
                await socket.recv()


async def test_a_suspended_facilitys_sockets_end_at_once(house: House) -> None:
    async with house.socket(OTHER) as theirs, house.socket() as ours:
        await frames(theirs, 1)
        await frames(ours, 1)
        await house.tell(FacilitySuspended(facility_id=OTHER), facility=OTHER)
        with pytest.raises(ConnectionClosed, match="4401"):
            async with asyncio.timeout(3):
                await theirs.recv()
        await house.tell(progress(1))
        await frames(ours, 1)


async def ends(socket: ClientConnection, within_s: float = 5) -> None:
    """The socket is closed, and its client told to get a new ticket."""
    with pytest.raises(ConnectionClosed, match="4401"):
        async with asyncio.timeout(within_s):
            await socket.recv()


async def test_a_logout_closes_the_logins_sockets_at_every_gateway_process_and_nobody_elses(house: House) -> None:
    session_id = uuid7()
    bearer = token(session_id=session_id)
    async with (
        house.socket(bearer=bearer) as here,
        house.socket(bearer=bearer, gateway=house.second) as there,
        house.socket(bearer=token(session_id=uuid7())) as another,
        house.socket(OTHER) as elsewhere,
    ):
        for socket in (here, there, another, elsewhere):
            await frames(socket, 1)
        started = time.monotonic()
        await house.tell(SessionEnded(session_id=session_id, person_id=uuid7()))
        await asyncio.gather(ends(here), ends(there))
        assert time.monotonic() - started < 5
        await house.tell(progress(1))
        await house.tell(progress(2), facility=OTHER)
        assert numbers(await frames(another, 1)) == [1]
        assert numbers(await frames(elsewhere, 1)) == [2]


async def test_a_ticket_from_before_the_logout_opens_nothing_after_it(house: House) -> None:
    session_id = uuid7()
    ticket = await house.ticket(bearer=token(session_id=session_id))
    async with house.socket(gateway=house.second) as other:
        await frames(other, 1)
        await house.tell(SessionEnded(session_id=session_id, person_id=uuid7()), progress(1))
        await frames(other, 1)
    assert await closed(house, json.dumps({"ticket": ticket["ticket"]}), gateway=house.second) == 4401


async def test_a_changed_role_closes_the_sockets_opened_before_it_alone(house: House) -> None:
    subject = uuid7()
    before, after = (person(subject, issued_at=int(time.time()) + seconds) for seconds in (0, 2))
    async with house.socket(bearer=before) as old, house.socket(bearer=after) as new, house.socket() as another:
        for socket in (old, new, another):
            await frames(socket, 1)
        await house.tell(AccessRefused(subject=subject, since=int(time.time())))
        await ends(old)
        await house.tell(progress(1))
        assert numbers(await frames(new, 1)) == numbers(await frames(another, 1)) == [1]


async def test_all_sockets_of_a_refused_facility_end(house: House) -> None:
    async with house.socket(OTHER) as theirs, house.socket() as ours:
        await frames(theirs, 1)
        await frames(ours, 1)
        await house.tell(AccessRefused(since=int(time.time())), facility=OTHER)
        await ends(theirs)
        await house.tell(progress(1))
        assert numbers(await frames(ours, 1)) == [1]


async def test_while_the_broker_is_away_an_ended_login_is_refused_and_its_sockets_close_within_a_minute(
    house: House,
) -> None:
    session_id = uuid7()
    bearer = token(session_id=session_id)
    async with house.socket(bearer=bearer) as socket, house.client(bearer=bearer) as client:
        await frames(socket, 1)
        assert (await client.get("/api/v1/studies/echo")).status_code == 201
        entry = {"facility": str(DEMO), "subject": None, "session": str(session_id), "since": int(time.time())}
        await house.line.cut()
        try:
            async with httpx.AsyncClient(base_url=house.service.url, trust_env=False) as auth:
                await auth.post("/control/refused", json=[entry])
            started = time.monotonic()
            await ends(socket, within_s=60)
            assert (await client.get("/api/v1/studies/echo")).status_code == 401
            print(f"closed and refused {time.monotonic() - started:.0f} s after auth said so")
        finally:
            await house.line.mend()
            async with httpx.AsyncClient(base_url=house.service.url, trust_env=False) as auth:
                await auth.post("/control/refused", json=[])


@pytest.mark.parametrize(("scopes", "status"), [(frozenset({"read"}), 201), (frozenset({"write"}), 403)])
async def test_an_api_client_needs_the_scope_read(house: House, scopes: frozenset[str], status: int) -> None:
    async with house.client(DEMO, token(role=Role.API_CLIENT, scopes=scopes)) as client:
        assert (await client.post("/api/v1/live/ticket")).status_code == status


async def test_no_ticket_without_a_token(house: House) -> None:
    async with house.client(bearer=None) as client:
        assert (await client.post("/api/v1/live/ticket")).status_code == 401


async def test_what_was_missed_is_told_on_return(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        await house.tell(progress(1), progress(2))
        seen = await frames(socket, 2)
    await house.tell(progress(3), progress(4))
    await house.tell(progress(99), facility=OTHER)
    for process in (house.gateway, house.second):
        async with house.socket(after=seen[-1]["cursor"], gateway=process) as socket:
            ready, *missed = await frames(socket, 3)
            assert ready == {"type": "ready", "cursor": seen[-1]["cursor"]}
            assert numbers(missed) == [3, 4]


async def test_nothing_falls_between_ticket_and_socket(house: House) -> None:
    ticket = await house.ticket()
    await house.tell(progress(1))
    async with house.dial() as socket:
        await socket.send(json.dumps({"ticket": ticket["ticket"], "after": ticket["cursor"]}))
        assert numbers((await frames(socket, 2))[1:]) == [1]


async def test_clients_that_come_and_go_miss_nothing_and_get_nothing_twice(house: House) -> None:
    total = 400

    async def teller() -> None:
        for start in range(0, total, 20):
            await house.tell(*(progress(n) for n in range(start, start + 20)))
            await asyncio.sleep(0.02)

    async def client(number: int) -> list[int]:
        seen: list[int] = []
        cursor = (await house.ticket())["cursor"]
        ready.append(number)
        await start.wait()
        while len(seen) < total:
            process = house.gateway if number % 2 else house.second
            number += 1
            async with house.socket(after=cursor, gateway=process, max_queue=None) as socket:
                for _ in range(7 + number % 40):
                    frame = json.loads(await socket.recv())
                    cursor = frame["cursor"]
                    assert frame["type"] != "resync"
                    if frame["type"] != "ready":
                        seen.append(frame["data"]["slices_done"])
                    if len(seen) == total:
                        break
        return seen

    start, ready = asyncio.Event(), list[int]()
    async with asyncio.timeout(90):
        clients = [asyncio.create_task(client(number)) for number in range(6)]
        while len(ready) < 6:
            await asyncio.sleep(0.01)
        start.set()
        await teller()
        for seen in await asyncio.gather(*clients):
            assert seen == list(range(total))


async def test_a_cursor_the_ring_has_forgotten_gets_a_resync(house: House) -> None:
    cursor = (await house.ticket())["cursor"]
    await house.tell(*(progress(n) for n in range(510)))
    await asyncio.sleep(0.5)
    async with house.socket(after=cursor) as socket:
        ready, resync = await frames(socket, 2)
        assert (ready["type"], resync["type"]) == ("ready", "resync")
        assert ready["cursor"] == resync["cursor"] != cursor
        await house.tell(progress(1))
        assert numbers(await frames(socket, 1)) == [1]


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-1] + "x", lambda c: "nonsense", lambda c: c.split(".")[0] + ".00000000", lambda c: "-5.00000000"],
)
async def test_a_cursor_that_names_no_event_here_gets_a_resync(house: House, change: Any) -> None:
    cursor = change((await house.ticket())["cursor"])
    async with house.socket(after=cursor) as socket:
        assert [frame["type"] for frame in await frames(socket, 2)] == ["ready", "resync"]


async def test_a_cursor_ahead_of_the_ring_is_waited_for_then_resynced(house: House) -> None:
    number, _, _ = (await house.ticket())["cursor"].partition(".")
    started = time.monotonic()
    async with house.socket(after=f"{int(number) + 1000}.12345678") as socket:
        assert [frame["type"] for frame in await frames(socket, 2)] == ["ready", "resync"]
    assert 4.5 < time.monotonic() - started < 7


async def test_an_event_published_twice_is_told_once(house: House) -> None:
    event, event_id = progress(1), [uuid7()]
    async with house.socket() as socket:
        await frames(socket, 1)
        await house.tell(event, ids=event_id)
        await house.tell(event, ids=event_id)
        await house.tell(progress(2))
        assert numbers(await frames(socket, 2)) == [1, 2]


async def test_a_message_that_is_no_event_is_passed_over(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        async with bus.connect(house.rabbitmq, "test") as connection:
            exchange = await topology.declare(await connection.channel())
            await exchange.publish(bus.look("nothing"), "codetect.nothing")
        await house.tell(progress(1))
        assert numbers(await frames(socket, 1)) == [1]


async def test_a_gateway_becomes_ready_though_the_last_message_is_no_event(house: House) -> None:
    async with bus.connect(house.rabbitmq, "test") as connection:
        exchange = await topology.declare(await connection.channel())
        await exchange.publish(bus.look("nothing"), "codetect.nothing")
    async with gateway(house.environment) as late:
        await late.answers("/readyz")
        assert (await house.ticket(gateway=late))["cursor"]


async def test_a_slow_client_is_closed_and_gets_the_rest_on_return(house: House) -> None:
    total = 450
    long = UploadRefused(upload_id=uuid7(), code="many", refused={f"{n:0>200}": n for n in range(100)})
    narrow = socket.create_connection(("127.0.0.1", house.gateway.port))
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    first = json.dumps({"ticket": (await house.ticket())["ticket"]})
    async with connect(f"ws://demo.localhost:{house.gateway.port}/api/v1/live", sock=narrow, max_queue=1) as slow:
        await slow.send(first)
        await frames(slow, 1)
        slow.transport.pause_reading()
        for _ in range(9):
            await house.tell(*(long for _ in range(50)))
        await asyncio.sleep(1)
        slow.transport.resume_reading()
        seen = []
        with pytest.raises(ConnectionClosed, match="4408"):
            async with asyncio.timeout(20):
                while True:
                    seen.append(json.loads(await slow.recv()))
    assert len(seen) < total
    async with house.socket(after=seen[-1]["cursor"]) as again:
        _, *rest = await frames(again, 1 + total - len(seen))
    cursors = [int(frame["cursor"].partition(".")[0]) for frame in seen + rest]
    assert cursors == list(range(cursors[0], cursors[0] + total))


async def test_a_client_that_never_reads_holds_up_nobody(house: House) -> None:
    async with house.socket(max_queue=1) as deaf, house.socket() as other:
        await frames(deaf, 1)
        await frames(other, 1)
        deaf.transport.pause_reading()
        for start in range(0, 300, 100):
            await house.tell(*(progress(n) for n in range(start, start + 100)))
            assert numbers(await frames(other, 100)) == list(range(start, start + 100))
        deaf.transport.abort()


async def test_one_person_opens_a_bounded_number_of_sockets(house: House) -> None:
    bearer = token()
    async with AsyncExitStack() as stack:
        for _ in range(SOCKETS_PER_PERSON):
            await frames(await stack.enter_async_context(house.socket(bearer=bearer)), 1)
        first = json.dumps({"ticket": (await house.ticket(bearer=bearer))["ticket"]})
        assert await closed(house, first) == 1013


async def test_when_the_broker_is_cut_off_nothing_is_missed(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        await house.tell(progress(0))
        for cut in range(3):
            await house.line.cut()
            await house.tell(*(progress(10 * cut + n) for n in range(1, 6)))
            await asyncio.sleep(0.5)
            await house.line.mend()
        await house.tell(progress(99))
        told = await frames(socket, 17, timeout_s=20)
        assert numbers(told) == [0, *(10 * cut + n for cut in range(3) for n in range(1, 6)), 99]


async def test_the_api_answers_while_the_broker_is_away(house: House) -> None:
    await house.line.cut()
    try:
        async with house.client() as client:
            assert (await client.get("/api/v1/studies/echo")).status_code == 201
        async with house.socket() as socket:
            assert (await frames(socket, 1))[0]["type"] == "ready"
    finally:
        await house.line.mend()


async def test_a_recreated_stream_is_noticed_and_said(house: House) -> None:
    async with house.socket() as socket:
        await frames(socket, 1)
        await house.tell(progress(1))
        before = (await frames(socket, 1))[0]["cursor"]
        async with bus.connect(house.rabbitmq, "test") as connection:
            await (await connection.channel()).queue_delete(topology.LOG)
        told = await frames(socket, 1, timeout_s=15)
        assert told[0]["type"] == "resync"
        await house.tell(progress(2), progress(3))
        assert numbers(await frames(socket, 2)) == [2, 3]
    async with house.socket(after=before) as socket:
        assert [frame["type"] for frame in await frames(socket, 2, timeout_s=15)] == ["ready", "resync"]


async def test_an_empty_streams_cursor_misses_nothing(house: House) -> None:
    async with bus.connect(house.rabbitmq, "test") as connection:
        channel = await connection.channel()
        await channel.queue_delete(topology.LOG)
        await topology.declare(channel)
    async with gateway(house.environment) as fresh:
        await fresh.answers("/readyz")
        ticket = await house.ticket(gateway=fresh)
        await house.tell(progress(1))
        async with house.dial(gateway=fresh) as socket:
            await socket.send(json.dumps({"ticket": ticket["ticket"], "after": ticket["cursor"]}))
            assert numbers((await frames(socket, 2))[1:]) == [1]


async def test_a_gateway_that_stops_says_so(house: House) -> None:
    async with gateway(house.environment) as leaving:
        await leaving.answers("/readyz")
        async with house.socket(gateway=leaving) as socket:
            await frames(socket, 1)
            started = time.monotonic()
            ending = asyncio.create_task(leaving.stop())
            with pytest.raises(ConnectionClosed, match="1012"):
                await socket.recv()
            await ending
            assert time.monotonic() - started < 5


async def test_open_sockets_are_counted(house: House) -> None:
    async def count() -> float:
        async with httpx.AsyncClient(base_url=house.gateway.url, trust_env=False) as client:
            metrics = (await client.get("/metrics")).text
        return float(metrics.partition("\ncodetect_gateway_sockets ")[2].split()[0])

    await asyncio.sleep(0.2)
    before = await count()
    async with house.socket() as socket:
        await frames(socket, 1)
        assert await count() == before + 1
    await asyncio.sleep(0.2)
    assert await count() == before
