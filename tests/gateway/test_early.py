"""Answers that come while the client still sends: they are read, not lost with a reset connection."""

import asyncio
import socket
import time

import pytest

from tests.gateway.conftest import House, token
from tests.gateway.upstream import MIB

NEVER = "/dicomweb/full?close="
REFUSED = [  # path, with a token, status
    ("/dicomweb/studies", False, 401),
    ("/api/v1/studies/echo", True, 413),
    (NEVER + "false", True, 507),
    (NEVER + "true", True, 507),
]


def head(house: House, path: str, authorized: bool, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: demo.localhost:{house.gateway.port}", *more]
    if authorized:
        lines.append(f"Authorization: Bearer {token()}")
    return "\r\n".join([*lines, "", ""]).encode()


def blocking(house: House, request: bytes, body: bytes) -> bytes:
    """As a plain client does: send everything, only then listen, to the end."""
    with socket.create_connection(("127.0.0.1", house.gateway.port), timeout=20) as line:
        line.sendall(request)
        line.sendall(body)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize(("path", "authorized", "status"), REFUSED)
async def test_a_client_that_sends_everything_first_reads_the_refusal(
    house: House, path: str, authorized: bool, status: int, framed: bool
) -> None:
    size = 12 * MIB
    framing = f"Content-Length: {size}" if framed else "Transfer-Encoding: chunked"
    body = bytes(size) if framed else b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
    for _ in range(5):
        answer = await asyncio.to_thread(blocking, house, head(house, path, authorized, framing), body)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"connection: close" in answer.lower()
        assert answer.endswith(b"}")


@pytest.mark.parametrize(("path", "authorized", "status"), REFUSED)
async def test_a_client_that_listens_while_it_sends_hears_at_once(
    house: House, path: str, authorized: bool, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(head(house, path, authorized, f"Content-Length: {1024 * MIB}"))
    sent, answer = 0, asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    async with asyncio.timeout(10):
        while not answer.done():
            writer.write(bytes(MIB // 4))
            await writer.drain()
            sent += MIB // 4
            await asyncio.sleep(0.01)
    assert (await answer).startswith(f"HTTP/1.1 {status} ".encode())
    assert sent < 32 * MIB
    writer.transport.abort()


async def test_nobody_is_listened_to_for_ever(house: House) -> None:
    """A client that trickles on after its refusal is cut off after five seconds, one that floods after 16 MiB."""
    for piece, pause, most_s in ((b"x", 0.05, 8), (bytes(MIB), 0, 4)):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
        writer.write(head(house, "/dicomweb/studies", False, f"Content-Length: {1024 * MIB}"))
        await reader.readuntil(b"\r\n\r\n")
        start, sent = time.monotonic(), 0
        with pytest.raises(OSError):
            while True:
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                await asyncio.sleep(pause)
        assert time.monotonic() - start < most_s
        assert sent < 64 * MIB


async def test_who_asks_before_sending_is_told_to_go_on(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(head(house, "/dicomweb/studies", True, "Content-Length: 5", "Expect: 100-continue"))
    async with asyncio.timeout(10):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"study")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(("path", "authorized", "status"), REFUSED[:2])
async def test_who_asks_before_sending_needn_t_send_what_is_refused(
    house: House, path: str, authorized: bool, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(head(house, path, authorized, f"Content-Length: {2048 * MIB}", "Expect: 100-continue"))
    async with asyncio.timeout(3):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"connection: close" in answer.lower()
    writer.close()


async def test_after_a_body_that_was_read_the_connection_stays(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    for _ in range(3):
        writer.write(head(house, "/dicomweb/studies", True, "Content-Length: 5") + b"study")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in answer.lower()
        await reader.readuntil(b"}")
    writer.close()
