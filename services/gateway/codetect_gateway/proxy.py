"""The streaming proxy: bodies pass through in pieces, both ways, in memory that doesn't grow with them."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import structlog
from codetect_shared import telemetry
from codetect_shared.problems import Problem
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from codetect_gateway.door import Door, Visitor
from codetect_gateway.parts import Part, PartTooSlow, PartUnavailable, Prefix
from codetect_gateway.settings import Settings

log = structlog.get_logger()
PART_SECONDS = Histogram(
    "codetect_gateway_part_seconds",
    "From a request's arrival to the service's answer.",
    ["part"],
    buckets=telemetry.FAST,
)
HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
# What only we may say to a service, and what only we say to a client.
OURS_INWARD = {b"host", b"expect", b"forwarded", b"x-real-ip", b"x-request-id", b"traceparent", b"tracestate"}
OURS_OUTWARD = {b"date", b"server", b"x-request-id"}
CLIENT_GONE = 499
BAD_PATH = ("\\", "//", "/./", "/../", "\0")


class Malformed(Problem):
    """This request is written in a way that could be read as another one."""

    status = 400


class BodyTooLarge(Problem):
    """The request's body is too large for this address."""

    status = 413
    headers = {"Connection": "close"}


class ClientTooSlow(Problem):
    """The request's body did not arrive in time."""

    status = 408
    headers = {"Connection": "close"}


class Proxy:
    """Answers everything below one prefix by asking the service whose it is."""

    def __init__(self, prefix: Prefix) -> None:
        self._prefix = prefix
        self.path = prefix.path  # what metrics and logs call it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, pass it on, pass the answer back."""
        arrived = time.perf_counter()
        scope["route"] = self
        request = Request(scope, receive)
        state = request.app.state
        door: Door = state.door
        visitor = await door.admit(request, anonymous=self._prefix.anonymous)
        part: Part = state.parts[self._prefix.part]
        settings: Settings = state.settings
        exchange = Exchange(part, None if self._prefix.any_size else settings.body_bytes, settings.stall_timeout_s)
        patience = asyncio.timeout(None)  # ends early when the client goes, and for nothing else
        try:
            async with patience:
                watching = asyncio.create_task(exchange.watch(receive, patience))
                try:
                    await exchange.run(request, visitor, send, arrived)
                finally:
                    watching.cancel()
        except (ClientDisconnect, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not patience.expired():
                raise
            if not exchange.begun:
                await send({"type": "http.response.start", "status": CLIENT_GONE})  # for logs and metrics alone


class Exchange:
    """One request to one service."""

    def __init__(self, part: Part, max_bytes: int | None, stall_s: float) -> None:
        self._part, self._max_bytes, self._stall_s = part, max_bytes, stall_s
        self._body_read = asyncio.Event()
        self.begun = self.finished = False

    async def watch(self, receive: Receive, patience: asyncio.Timeout) -> None:
        """Once the body is read, the next thing a client can do is go."""
        await self._body_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass
        if not self.finished:  # after the answer, "disconnect" means only that nothing more will come
            patience.reschedule(asyncio.get_running_loop().time())

    async def run(self, request: Request, visitor: Visitor, send: Send, arrived: float) -> None:
        """Ask and answer. Raises a Problem, unless the answer has begun."""
        part = self._part
        asked = self._request(request, visitor)
        try:
            answer = await part.transport.handle_async_request(asked)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise PartTooSlow(part.name) from error
        except httpx.LocalProtocolError as error:
            raise Malformed from error
        except httpx.HTTPError as error:
            log.warning("part unavailable", part=part.name, error=repr(error))
            raise PartUnavailable(part.name) from error
        PART_SECONDS.labels(part.name).observe(time.perf_counter() - arrived)
        try:
            headers = [(name, self._outward(name, value)) for name, value in _kept(answer.headers.raw, OURS_OUTWARD)]
            self.begun = True
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            assert isinstance(answer.stream, httpx.AsyncByteStream)
            async for chunk in answer.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            self.finished = True
            await send({"type": "http.response.body", "body": b""})
        except httpx.HTTPError as error:
            # The server now closes the connection: the client sees an answer that was cut short.
            log.error("answer cut short", part=part.name, error=repr(error))
        finally:
            await answer.aclose()

    def _request(self, request: Request, visitor: Visitor) -> httpx.Request:
        scope = request.scope
        path: str = scope["path"]
        if any(sign in path for sign in BAD_PATH) or path.endswith(("/..", "/.")):
            raise Malformed
        length = request.headers.get("content-length", "")
        chunked = "transfer-encoding" in request.headers
        if self._max_bytes is not None and length.isdecimal() and int(length) > self._max_bytes:
            raise BodyTooLarge(f"The limit is {self._max_bytes} bytes.")
        headers = [
            (name, value)
            for name, value in _kept(scope["headers"], OURS_INWARD)
            if not name.startswith(b"x-forwarded-") and not (chunked and name == b"content-length")
        ]
        ours = {
            "X-Forwarded-Host": visitor.host,
            "X-Forwarded-Proto": scope["scheme"],
            "X-Forwarded-For": visitor.address,
            "X-Request-Id": scope["state"]["request_id"],
            **telemetry.trace_headers(),
        }
        headers += [(name.encode(), value.encode()) for name, value in ours.items()]
        if not chunked and length in ("", "0"):
            self._body_read.set()
            content = None
        else:
            content = self._body(request)
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        # The target goes as it came: a library that tidies paths could turn one into another.
        return httpx.Request(
            scope["method"],
            self._part.url,
            headers=headers,
            content=content,
            extensions={"target": target, "timeout": self._part.timeouts},
        )

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        received, more = 0, True
        while more:
            try:
                async with asyncio.timeout(self._stall_s):
                    message = await request.receive()
            except TimeoutError:
                raise ClientTooSlow from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            received += len(chunk)
            if self._max_bytes is not None and received > self._max_bytes:
                raise BodyTooLarge(f"The limit is {self._max_bytes} bytes.")
            if chunk:
                yield chunk
        self._body_read.set()

    def _outward(self, name: bytes, value: bytes) -> bytes:
        """A redirect names the service's own address; the client knows only ours."""
        if name.lower() == b"location":
            return value.removeprefix(self._part.base.encode()) or b"/"
        return value


def _kept(headers: list[tuple[bytes, bytes]], ours: set[bytes]) -> list[tuple[bytes, bytes]]:
    """Headers for the other side: neither hop-by-hop (RFC 9110 section 7.6.1) nor ours to say."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lower if name == b"connection" for token in value.split(b",")}
    return [(name, value) for name, value in lower if name not in HOP_BY_HOP and name not in ours and name not in named]
