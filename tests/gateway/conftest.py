"""Two real gateway processes on real servers, a small real service behind them, and a broker line that can be cut."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest
from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisProgressed, Event
from codetect_shared.tokens import Principal, Role, SigningKey, issue
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect

from tests.infrastructure import Infrastructure

ROOT = Path(__file__).parents[2]
KEY = SigningKey.generate()
DEMO, OTHER = uuid7(), uuid7()
SOCKETS_PER_PERSON = 3
SLUGS = {DEMO: "demo", OTHER: "other"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def token(facility: UUID = DEMO, role: Role = Role.MEMBER, lifetime_s: int = 600, **claims: Any) -> str:
    principal = Principal(str(uuid7()), facility, SLUGS[facility], role, **claims)
    return issue(principal, KEY, issuer="codetect-tests", lifetime_s=lifetime_s)


def person(subject: UUID, facility: UUID = DEMO, **claims: Any) -> str:
    """A token of somebody in particular."""
    principal = Principal(str(subject), facility, SLUGS[facility], Role.MEMBER, **claims)
    return issue(principal, KEY, issuer="codetect-tests")


class BrokerLine:
    """A TCP line to the broker that can be cut and mended."""

    def __init__(self, url: str) -> None:
        self.broker = url
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self.port = free_port()
        self.url = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{self.port}")).geturl()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        while self._writers:
            await asyncio.sleep(0.01)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, thither = await asyncio.open_connection(*self._target)
        self._writers |= {writer, thither}
        await asyncio.gather(self._pass(reader, thither), self._pass(there, writer))
        for each in (writer, thither):
            each.transport.abort()
        self._writers -= {writer, thither}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


@dataclass
class Process:
    """One running process of ours."""

    port: int
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rss_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    async def stop(self) -> int:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    async def answers(self, path: str, patience_s: float = 90) -> None:
        deadline = time.monotonic() + patience_s
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    (await client.get(self.url + path)).raise_for_status()
                    return
                except httpx.HTTPError:
                    assert self.process.returncode is None, "the process ended"
                    assert time.monotonic() < deadline, f"no answer at {path}"
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    module: str, *arguments: str, port: int, env: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env=os.environ | (env or {}),
        stdout=asyncio.subprocess.DEVNULL,
    )
    started = Process(port, process)
    try:
        yield started
    finally:
        await started.stop()


def upstream(port: int) -> AbstractAsyncContextManager[Process]:
    jwks = json.dumps(json.dumps({"keys": [KEY.public_jwk()]}))
    return running("tests.gateway.upstream", str(port), jwks, port=port)


def gateway(environment: Mapping[str, str]) -> AbstractAsyncContextManager[Process]:
    port = free_port()
    return running("codetect_gateway", "api", port=port, env={**environment, "CODETECT_GATEWAY_PORT": str(port)})


@dataclass
class House:
    """Gateway processes and what stands around them."""

    gateway: Process
    second: Process
    service: Process
    line: BrokerLine
    rabbitmq: SecretStr
    environment: dict[str, str]
    away: int
    sequence: int = field(default=0)

    def client(
        self, facility: UUID | str = DEMO, bearer: str | None = "", gateway: Process | None = None
    ) -> httpx.AsyncClient:
        """HTTP to a facility's own host."""
        to = gateway or self.gateway
        headers = {"Host": f"{SLUGS[facility] if isinstance(facility, UUID) else facility}.localhost:{to.port}"}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer or token(facility if isinstance(facility, UUID) else DEMO)}"
        return httpx.AsyncClient(base_url=to.url, headers=headers, trust_env=False, timeout=30)

    async def ticket(self, facility: UUID = DEMO, gateway: Process | None = None, bearer: str = "") -> dict[str, str]:
        async with self.client(facility, bearer, gateway) as client:
            answer = await client.post("/api/v1/live/ticket")
        assert answer.status_code == 201, answer.text
        return answer.json()

    def dial(self, slug: str = "demo", gateway: Process | None = None, **options: Any) -> connect:
        to = gateway or self.gateway
        uri = f"ws://{slug}.localhost:{to.port}/api/v1/live"
        return connect(uri, host="127.0.0.1", port=to.port, proxy=None, **options)

    @asynccontextmanager
    async def socket(
        self,
        facility: UUID = DEMO,
        after: str | None = None,
        gateway: Process | None = None,
        bearer: str = "",
        **options: Any,
    ) -> AsyncIterator[ClientConnection]:
        ticket = await self.ticket(facility, gateway, bearer)
        async with self.dial(SLUGS[facility], gateway, **options) as socket:
            await socket.send(json.dumps({"ticket": ticket["ticket"]} | ({"after": after} if after else {})))
            yield socket

    async def sql(self, statement: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.environment["CODETECT_GATEWAY_DATABASE_SYSTEM_URL"])
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def tell(self, *events: Event, facility: UUID = DEMO, ids: list[UUID] | None = None) -> list[UUID]:
        """Publish as the outbox relay does."""
        told = ids or [uuid7() for _ in events]
        async with bus.connect(self.rabbitmq, "test") as connection:
            channel = await connection.channel(publisher_confirms=True)
            exchange = await topology.declare(channel)
            messages = []
            for event_id, event in zip(told, events, strict=True):
                self.sequence += 1
                envelope = bus.Envelope(
                    event_id,
                    event.type,
                    datetime.now(UTC),
                    facility,
                    f"{event.aggregate}/{uuid7()}",
                    self.sequence,
                    event.model_dump(mode="json"),
                )
                messages.append((None, event.type, bus.encode(envelope, "test")))
            for start in range(0, len(messages), 200):
                await bus.publish_all(channel, exchange, messages[start : start + 200])
        return told


def progress(done: int) -> AnalysisProgressed:
    """An event that people may see; its number tells which."""
    return AnalysisProgressed(
        analysis_id=uuid7(), study_id=uuid7(), upload_id=uuid7(), slices_done=done, slices_total=10**6
    )


async def frames(socket: ClientConnection, count: int, timeout_s: float = 10) -> list[dict[str, Any]]:
    async with asyncio.timeout(timeout_s):
        return [json.loads(await socket.recv()) for _ in range(count)]


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [frame["data"]["slices_done"] for frame in found]


@pytest.fixture(scope="package")
async def house(infra: Infrastructure) -> AsyncIterator[House]:
    await infra.migrate("gateway")
    line = BrokerLine(infra.environment["CODETECT_RABBITMQ_URL"])
    await line.mend()
    service_port, away = free_port(), free_port()
    service_url = f"http://127.0.0.1:{service_port}"
    environment = infra.environment | {
        "CODETECT_RABBITMQ_URL": line.url,
        "CODETECT_ISSUER": "codetect-tests",
        "CODETECT_AUTH_URL": service_url,
        "CODETECT_INGEST_URL": service_url,
        "CODETECT_INFERENCE_URL": service_url,
        "CODETECT_ANALYTICS_URL": f"http://127.0.0.1:{away}",
        "CODETECT_GATEWAY_FACILITY_FRESH_S": "1",
        "CODETECT_GATEWAY_RATE_ANONYMOUS": "100000",
        "CODETECT_GATEWAY_RATE_PERSON": "100000",
        "CODETECT_GATEWAY_RING_EVENTS": "500",
        "CODETECT_GATEWAY_SOCKET_FRAMES": "200",
        "CODETECT_GATEWAY_ANSWER_TIMEOUT_S": "3",
        "CODETECT_GATEWAY_CONNECTIONS_PER_PART": "20",
        "CODETECT_GATEWAY_SOCKETS_PER_PERSON": str(SOCKETS_PER_PERSON),
    }
    async with upstream(service_port) as service, gateway(environment) as first, gateway(environment) as second:
        for process, path in ((service, "/.well-known/jwks.json"), (first, "/readyz"), (second, "/readyz")):
            await process.answers(path)
        yield House(first, second, service, line, SecretStr(line.broker), environment, away)
    await line.cut()
