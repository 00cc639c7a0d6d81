"""Answers that come before the question is over: a service that refuses a study after its first kilobyte, say.

`AttentiveBackend` notices them on the service's side: what isn't sent yet stays unsent. `Linger` sees to it that they
arrive on the client's: a connection that is closed while the client still sends is reset, and a reset can overtake the
answer. So what comes is read and thrown away for a while first (RFC 9112, section 9.6).
"""

import asyncio
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_BYTES = 16 * 2**20
LINGER_S = 5.0
HEARD_BYTES = 2**16


class Linger:
    """ASGI middleware: an answer to a body that wasn't read to its end is the connection's last, and gets through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer; look whether it has read everything."""
        unread = scope["type"] == "http" and any(
            name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in scope["headers"]
        )
        if not unread:
            await self.app(scope, receive, send)
            return

        async def receiving() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if unread and message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            elif unread and message["type"] == "http.response.body" and not message.get("more_body"):
                await send({**message, "more_body": True})
                await drain()
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        async def drain() -> None:
            dropped = 0
            try:
                async with asyncio.timeout(LINGER_S):
                    while unread and dropped < LINGER_BYTES:
                        dropped += len((await receiving()).get("body", b""))
            except TimeoutError:
                pass

        await self.app(scope, receiving, sending)


class AttentiveBackend(httpcore.AnyIOBackend):
    """Connections that refuse to send more once the other side has begun to answer."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect."""
        return AttentiveStream(await super().connect_tcp(host, port, timeout, local_address, socket_options))


class AttentiveStream(httpcore.AsyncNetworkStream):
    """A connection without TLS: with it, bytes that wait to be read needn't be an answer.

    While a body is sent it listens: a service that answers and closes resets the connection, and what nobody has read
    by then is lost with the next write.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._asked = False  # something was sent since the last answer
        self._hearing: asyncio.Task[bytes] | None = None

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Raises WriteError when there is an answer already; httpcore then goes on to read it."""
        if buffer and self._asked and not self._hearing:
            self._hearing = asyncio.create_task(self._stream.read(HEARD_BYTES))
        if (self._hearing and self._hearing.done()) or self._stream.get_extra_info("is_readable"):
            raise httpcore.WriteError("There is an answer already.")
        self._asked = True
        await self._stream.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What was heard already comes first, however much it is."""
        self._asked = False
        if self._hearing is None:
            return await self._stream.read(max_bytes, timeout)
        heard, _ = await asyncio.wait([self._hearing], timeout=timeout)
        if not heard:
            raise httpcore.ReadTimeout
        hearing, self._hearing = self._hearing, None
        return hearing.result()

    async def aclose(self) -> None:
        """Close it, and listen no more."""
        if self._hearing:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """No longer attentive."""
        return await self._stream.start_tls(ssl_context, server_hostname, timeout)

    def get_extra_info(self, info: str) -> Any:
        """As it is."""
        return self._stream.get_extra_info(info)
