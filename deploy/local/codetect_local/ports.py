"""Ports: whether they are free, who has them, and free ones for tests."""

import asyncio
import random
import socket
import ssl

from codetect_local.processes import holder
from codetect_local.settings import Settings, Trouble


def is_free(port: int) -> bool:
    """Whether we could listen there on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def require_free(settings: Settings, wanted: list[tuple[str, int]]) -> None:
    """Say which port is taken, by whom, and which setting moves us elsewhere."""
    taken = []
    for name, port in wanted:
        if not is_free(port):
            by = holder(port) or "a process that can't be seen from here"
            taken.append(f"Port {port} ({name}) is taken by {by}. Another: CODETECT_{name.upper()}_PORT=...")
    if taken:
        raise Trouble("\n".join([*taken, "Or move all ports at once, for example CODETECT_PORT_OFFSET=1000."]))


async def says(port: int, greeting: bytes = b"", encrypted: bool = False) -> bytes:
    """The first bytes that a listener on loopback answers to a greeting; raises while there is none."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_unchecked() if encrypted else None)
    try:
        writer.write(greeting)
        return await reader.read(64) if greeting else b""
    finally:
        writer.close()


async def answers(port: int, path: str, encrypted: bool = False) -> None:
    """Raises unless a GET is answered 2xx. By hand: an HTTP client costs more to make than all the rest of a look."""
    question = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    reply = await says(port, question, encrypted)
    if not reply.startswith(b"HTTP/1.1 2"):
        raise ConnectionError(f"{path} answered {reply[:40]!r}")


def _unchecked() -> ssl.SSLContext:
    """Whoever answers on our own port is asked whether it is well, nothing secret."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def free_block(size: int = 100) -> int:
    """The first of so many neighbouring ports that are free now, below those that outgoing connections take from."""
    starts = list(range(20000, 32000, size))
    random.shuffle(starts)
    for start in starts:
        if all(is_free(port) for port in range(start, start + size)):
            return start
    raise Trouble("No block of free ports between 20000 and 32000.")
