"""What the door costs: `python -m tests.load.bench_gateway [sockets]`.

Prints JSON lines (name, value, unit, baseline, ratio).
The gateway is a process as in production; behind it stands the small service of the tests. An event's way is the real
one: committed with an outbox row, relayed, read from the stream, pushed.
"""

import asyncio
import base64
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from uuid import UUID

import asyncpg
from codetect_gateway.limits import Limits
from codetect_gateway.tickets import _hash
from codetect_shared import outbox
from codetect_shared.db import Database, uuid7
from pydantic import SecretStr

from tests.gateway.conftest import DEMO, Process, free_port, gateway, progress, token, upstream
from tests.gateway.upstream import MIB
from tests.infrastructure import infrastructure

SOCKETS = 5000
FACILITIES = 50
TELL = """
    INSERT INTO outbox (event_id, facility_id, type, subject, sequence, data, time)
    VALUES ($1, $2, $3, $4, 1, $5, $6)
"""
TICKET = """
    INSERT INTO ticket (hash, facility_id, slug, subject, token_expires_at, expires_at)
    VALUES ($1, $2, 'demo', $3, $4, $4)
"""


def say(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """One line of the report."""
    ratio = round(value / baseline, 3) if baseline else None
    shown = None if baseline is None else round(baseline, 3)
    print(
        json.dumps({"name": name, "value": round(value, 3), "unit": unit, "baseline": shown, "ratio": ratio}),
        flush=True,
    )


class Listener(asyncio.Protocol):
    """A WebSocket client that costs little: it opens, sends its ticket, and notes when each frame came."""

    def __init__(self, port: int, ticket: str) -> None:
        self._port, self._ticket = port, ticket
        self._buffer = b""
        self._open = False
        self.came: list[float] = []
        self.ready = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        transport.write(  # type: ignore[attr-defined]
            f"GET /api/v1/live HTTP/1.1\r\nHost: demo.localhost:{self._port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, end, self._buffer = self._buffer.partition(b"\r\n\r\n")
            if not end:
                self._buffer = head
                return
            assert b" 101 " in head, head
            self._open = True
            body = json.dumps({"ticket": self._ticket}).encode()
            self.transport.write(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)  # type: ignore[attr-defined]
        while len(self._buffer) >= 4:
            length, start = self._buffer[1], 2
            if length == 126:
                length, start = int.from_bytes(self._buffer[2:4], "big"), 4
            if len(self._buffer) < start + length:
                return
            opcode, payload = self._buffer[0] & 15, self._buffer[start : start + length]
            self._buffer = self._buffer[start + length :]
            if opcode == 9:
                self.transport.write(bytes([0x8A, 0x80 | length]) + bytes(4) + payload)  # type: ignore[attr-defined]
            elif opcode == 1 and not self.ready.is_set():
                self.ready.set()
            elif opcode == 1:
                self.came.append(time.perf_counter())


@asynccontextmanager
async def listeners(process: Process, database: str, facilities: list[UUID]) -> AsyncIterator[list[Listener]]:
    """One open socket for each entry of `facilities`."""
    tickets = [secrets.token_urlsafe(32) for _ in facilities]
    until = datetime.now(UTC) + timedelta(hours=1)
    connection = await asyncpg.connect(database)
    rows = [(_hash(t), f, str(uuid7()), until) for t, f in zip(tickets, facilities, strict=True)]
    await connection.executemany(TICKET, rows)
    await connection.close()
    loop = asyncio.get_running_loop()
    opened: list[Listener] = []
    for start in range(0, len(tickets), 100):
        batch = [Listener(process.port, ticket) for ticket in tickets[start : start + 100]]
        await asyncio.gather(*(loop.create_connection(lambda one=one: one, "127.0.0.1", process.port) for one in batch))
        async with asyncio.timeout(60):
            await asyncio.gather(*(one.ready.wait() for one in batch))
        opened += batch
    try:
        yield opened
    finally:
        for one in opened:
            one.transport.close()
        await asyncio.sleep(2)


class Source:
    """Commits events as a service does; a relay like the services' own publishes them."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def tell(self, facility: UUID) -> float:
        """Commit an event and say when that was."""
        event, now = progress(1), datetime.now(UTC)
        data = event.model_dump_json()
        await self._connection.execute(TELL, uuid7(), facility, event.type, f"analysis/{uuid7()}", data, now)
        return time.perf_counter()


@asynccontextmanager
async def source(environment: dict[str, str]) -> AsyncIterator[Source]:
    """An outbox and its relay."""
    url = environment["CODETECT_INGEST_DATABASE_SYSTEM_URL"]
    relay = outbox.Relay(SecretStr(url), SecretStr(environment["CODETECT_RABBITMQ_URL"]), "bench")
    relaying = asyncio.create_task(relay.run())
    connection = await asyncpg.connect(url)
    try:
        yield Source(connection)
    finally:
        await connection.close()
        relaying.cancel()


async def arrival(sockets: list[Listener], count: int) -> None:
    async with asyncio.timeout(60):
        while any(len(one.came) < count for one in sockets):
            await asyncio.sleep(0.002)


async def event_to_frame(process: Process, environment: dict[str, str], told: Source, n: int = 300) -> None:
    """One event at a time, one socket."""
    async with listeners(process, environment["CODETECT_GATEWAY_DATABASE_SYSTEM_URL"], [DEMO]) as (one,):
        took = []
        for number in range(n + 10):
            committed = await told.tell(DEMO)
            await arrival([one], number + 1)
            took.append(one.came[-1] - committed)
            await asyncio.sleep(0.02)
    steady = [1000 * each for each in took[10:]]
    say("event_to_frame_p50", median(steady), "ms")
    say("event_to_frame_p99", quantiles(steady, n=100)[98], "ms")


async def many_sockets(process: Process, environment: dict[str, str], told: Source, count: int) -> None:
    """Memory for each open socket; frames to all of one facility, and to all of all."""
    facilities = [uuid7() for _ in range(FACILITIES)]
    database = environment["CODETECT_GATEWAY_DATABASE_SYSTEM_URL"]
    before, started = process.rss_kib(), time.perf_counter()
    async with listeners(process, database, [facilities[n % FACILITIES] for n in range(count)]) as opened:
        say("sockets_opened_per_s", count / (time.perf_counter() - started), "1/s")
        say("memory_per_socket", (process.rss_kib() - before) / count, "KiB")
        took: list[float] = []
        for number in range(20):
            for place, facility in enumerate(facilities):
                its = opened[place::FACILITIES]
                committed = await told.tell(facility)
                await arrival(its, number + 1)
                took += [1000 * (one.came[-1] - committed) for one in its]
        say("event_to_frame_p50_of_a_facility_with_100_sockets", median(took), "ms")
        say("event_to_frame_p99_of_a_facility_with_100_sockets", quantiles(took, n=100)[98], "ms")
        burst = 40
        for _ in range(burst):
            for facility in facilities:
                await told.tell(facility)
        started = time.perf_counter()
        await arrival(opened, 20 + burst)
        await asyncio.sleep(1)
        say("frames_lost_or_doubled", sum(abs(len(one.came) - 20 - burst) for one in opened), "frames")
        say("memory_per_socket_after", (process.rss_kib() - before) / count, "KiB")
    lone = uuid7()
    async with listeners(process, database, [lone] * count) as opened:
        took = []
        for number in range(10):
            committed = await told.tell(lone)
            await arrival(opened, number + 1)
            took += [1000 * (one.came[-1] - committed) for one in opened]
        say(f"event_to_frame_p50_of_a_facility_with_{count}_sockets", median(took), "ms")
        say(f"event_to_frame_p99_of_a_facility_with_{count}_sockets", quantiles(took, n=100)[98], "ms")


async def asked(port: int, request: bytes, body: AsyncIterator[bytes] | None = None) -> int:
    """One request on a connection of its own; the bytes of the answer's body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MIB)
    writer.write(request)
    async for piece in body or _nothing():
        writer.write(piece)
        await writer.drain()
    received = -len(await reader.readuntil(b"\r\n\r\n"))
    start = -received
    while piece := await reader.read(MIB):
        received += len(piece)
    writer.close()
    return received + start


async def _nothing() -> AsyncIterator[bytes]:
    for nothing in ():
        yield nothing


async def repeated(port: int, request: bytes, n: int) -> list[float]:
    """The same small request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    for _ in range(n):
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        took.append(1000 * (time.perf_counter() - started))
    writer.close()
    return took


async def proxied(process: Process, service: Process) -> None:
    """The same request straight to the service, and through the door."""
    bearer = token()

    def get(path: str, extra: str = "") -> bytes:
        head = f"GET {path} HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer {bearer}\r\n{extra}\r\n"
        return head.encode()

    small = get("/api/v1/studies/echo")
    direct, through = [], []
    for _ in range(5):
        direct += await repeated(service.port, small, 100)
        through += await repeated(process.port, small, 100)
    say("proxy_small_request_p50", median(through), "ms", median(direct))
    say("proxy_added_p50", median(through) - median(direct), "ms")
    say("proxy_added_p99", quantiles(through, n=100)[98] - quantiles(direct, n=100)[98], "ms")
    started = time.perf_counter()
    await asyncio.gather(*(repeated(process.port, small, 50) for _ in range(16)))
    many = 800 / (time.perf_counter() - started)
    started = time.perf_counter()
    await asyncio.gather(*(repeated(service.port, small, 50) for _ in range(16)))
    say("proxy_requests_per_s_16_at_once", many, "1/s", 800 / (time.perf_counter() - started))

    async def zeros(mib: int) -> AsyncIterator[bytes]:
        for _ in range(mib):
            yield bytes(MIB)

    down, up = 1024, 512
    rates: dict[str, list[float]] = {"down": [], "up": []}
    before = process.rss_kib()
    most = before
    for port in (service.port, process.port):
        started = time.perf_counter()
        assert await asked(port, get(f"/api/v1/studies/big?mib={down}", "Connection: close\r\n")) == down * MIB
        rates["down"].append(down / (time.perf_counter() - started))
        head = (
            f"POST /dicomweb/studies HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer {bearer}\r\n"
            f"Connection: close\r\nContent-Length: {up * MIB}\r\n\r\n"
        )
        started = time.perf_counter()
        await asked(port, head.encode(), zeros(up))
        rates["up"].append(up / (time.perf_counter() - started))
        most = max(most, process.rss_kib())
    for way, (straight, around) in rates.items():
        say(f"proxy_{way}_stream", around, "MiB/s", straight)
    say("proxy_memory_growth_over_1.5_GiB", (most - before) / 1024, "MiB")


async def counted(environment: dict[str, str]) -> None:
    """A rate limit's cost to a request, and to Postgres once a second."""
    urls = (SecretStr(environment[f"CODETECT_GATEWAY_DATABASE_{role}URL"]) for role in ("", "SYSTEM_"))
    db = Database(*urls)
    limits = Limits(db)
    keys = [f"person:{uuid7()}" for _ in range(1000)]
    started = time.perf_counter()
    for _ in range(100):
        for key in keys:
            limits.take(key, 10_000)
    say("rate_limit_per_request", 1e6 * (time.perf_counter() - started) / 100_000, "µs")
    await limits.tell()
    took = []
    for _ in range(10):
        for key in keys:
            limits.take(key, 10_000)
        started = time.perf_counter()
        await limits.tell()
        took.append(1000 * (time.perf_counter() - started))
    say("rate_limit_told_to_postgres_1000_people", median(took), "ms")
    await db.close()


async def ticketed(process: Process) -> None:
    """What a ticket costs, over HTTP, with its row."""
    head = (
        "POST /api/v1/live/ticket HTTP/1.1\r\nHost: demo.localhost\r\n"
        f"Authorization: Bearer {token()}\r\nContent-Length: 0\r\n\r\n"
    )
    say("ticket_p50", median(await repeated(process.port, head.encode(), 200)), "ms")


async def main() -> None:
    """All of it, on servers of its own or on those that CODETECT_TEST_STATE names."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SOCKETS
    with tempfile.TemporaryDirectory() as folder:
        async with infrastructure(Path(folder)) as infra:
            await infra.migrate("gateway", "ingest")
            service_port = free_port()
            environment = infra.environment | {
                "CODETECT_ISSUER": "codetect-tests",
                **{
                    f"CODETECT_{name}_URL": f"http://127.0.0.1:{service_port}"
                    for name in ("AUTH", "INGEST", "INFERENCE", "ANALYTICS")
                },
                "CODETECT_GATEWAY_RATE_PERSON": "10000000",
                "CODETECT_GATEWAY_RATE_ANONYMOUS": "10000000",
                "CODETECT_LOG_LEVEL": os.environ.get("CODETECT_LOG_LEVEL", "info"),
            }
            async with upstream(service_port) as service, gateway(environment) as process, source(environment) as told:
                await service.answers("/.well-known/jwks.json")
                await process.answers("/readyz")
                await counted(environment)
                await ticketed(process)
                await event_to_frame(process, environment, told)
                await proxied(process, service)
                await many_sockets(process, environment, told, count)


if __name__ == "__main__":
    asyncio.run(main())
