"""Whoever connects and dawdles is shown the door, however the dawdling is done."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from codetect_gateway.wire import HEADER_BYTES, DoorProtocol

from tests.gateway.conftest import free_port

ENDLESS = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Hasty(DoorProtocol):
    header_s = 0.5
    stall_s = 1.0


async def generous(scope: Any, receive: Any, send: Any) -> None:
    """Reads all, answers with 64 MiB."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(2**26).encode())]})
    for _ in range(2**10):
        await send({"type": "http.response.body", "body": bytes(2**16), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(protocol: type[DoorProtocol]) -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(generous, port=free_port(), http=protocol, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = True
    await running


async def ended_after(server: uvicorn.Server, *pieces: bytes) -> tuple[float, bytes]:
    """How long the server kept the line open after the last piece, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.05)
    started = time.monotonic()
    async with asyncio.timeout(10):
        said = await reader.read()
    writer.close()
    return time.monotonic() - started, said


@pytest.mark.parametrize("pieces", [[], [b"GET"], [b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n"]])
async def test_headers_must_arrive_in_time(pieces: list[bytes]) -> None:
    async with serving(Hasty) as server:
        waited, said = await ended_after(server, *pieces)
    assert waited < 2
    assert said == b""


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /", b"x" * HEADER_BYTES],
        [b"GET / HTTP/1.1\r\n", b"X: y\r\n" * (HEADER_BYTES // 6)],
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"y" * HEADER_BYTES],
        [ENDLESS, b"5;", b"x" * HEADER_BYTES],
        [ENDLESS, b"0\r\nX: ", b"y" * HEADER_BYTES],
    ],
    ids=["target", "headers", "header", "chunk extension", "trailer"],
)
async def test_what_leads_to_nothing_is_bounded(pieces: list[bytes]) -> None:
    async with serving(DoorProtocol) as server:
        waited, said = await ended_after(server, *pieces)
    assert waited < 2
    assert said.startswith(b"HTTP/1.1 400")


async def test_requests_one_after_another_are_not_one_long_header() -> None:
    async with serving(DoorProtocol) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
        for _ in range(3):
            head = b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\nContent-Length: 100000\r\n\r\n"
            writer.write(head + bytes(100_000))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2**26)
        writer.close()


async def test_a_peer_that_takes_nothing_is_cut_off() -> None:
    async with serving(Hasty) as server:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", server.config.port))
        await loop.sock_sendall(deaf, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.3)
        assert len(server.server_state.connections) == 1
        async with asyncio.timeout(5):
            while server.server_state.connections:
                await asyncio.sleep(0.05)
        deaf.close()
