"""The streaming proxy: bodies pass through in pieces, both ways, in memory that doesn't grow with them."""

import asyncio
import re
from collections.abc import AsyncIterator

import anyio
import httpx
import structlog
from codetect_shared import telemetry
from prometheus_client import Histogram
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from codetect_gateway import cookies
from codetect_gateway.browsers import COOKIE, from_page
from codetect_gateway.context import gateway_of
from codetect_gateway.door import Visitor
from codetect_gateway.failures import BodyTooLarge, ClientTooSlow, Malformed
from codetect_gateway.parts import PartTooSlow, PartUnavailable, Prefix

log = structlog.get_logger()
PART_SECONDS = Histogram(
    "codetect_gateway_part_seconds",
    "Time until a service answers, our request's body included.",
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
OURS_INWARD = {
    b"host",
    b"cookie",
    b"expect",
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",
    b"traceparent",
    b"tracestate",
}
OURS_OUTWARD = {b"date", b"server", b"x-request-id"}
CLIENT_GONE = 499
BAD_PATH = re.compile(r"//|[\\\0]|/\.\.?(/|$)")


class Proxy:
    """Answers everything below one prefix by asking the service whose it is."""

    def __init__(self, prefix: Prefix) -> None:
        self.prefix = prefix
        self.path = prefix.path  # what metrics and logs call it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, pass it on, pass the answer back; when the client goes, so does the request."""
        scope["route"] = self
        exchange = Exchange(self.prefix, scope, receive)
        with anyio.CancelScope() as presence:
            watching = asyncio.create_task(exchange.watch(presence))
            try:
                await exchange.run(send)
            except ClientDisconnect:
                presence.cancel()
            finally:
                watching.cancel()
        if presence.cancel_called and not exchange.begun:
            await send({"type": "http.response.start", "status": CLIENT_GONE})  # for logs and metrics alone


class Exchange:
    """One request to one service."""

    def __init__(self, prefix: Prefix, scope: Scope, receive: Receive) -> None:
        self._prefix, self._scope, self._receive = prefix, scope, receive
        self._body_read = asyncio.Event()
        self.begun = self._finished = False

    async def watch(self, presence: anyio.CancelScope) -> None:
        """Once the body is read, the next thing a client can do is go."""
        await self._body_read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self._finished:  # after the answer, "disconnect" means only that nothing more will come
            presence.cancel()

    async def run(self, send: Send) -> None:
        """Ask and answer. Raises a Problem, unless the answer has begun; ClientDisconnect."""
        request = Request(self._scope, self._patiently)
        self._gateway = gateway_of(request)
        part = self._gateway.parts[self._prefix.part]
        visitor = await self._gateway.door.admit(request, self._prefix)
        if own := await cookies.answer(self._gateway, request, visitor):
            await own(self._scope, self._receive, send)
            return
        asked = self._request(request, visitor)
        try:
            with PART_SECONDS.labels(part.name).time():
                answer = await part.transport.handle_async_request(asked)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise PartTooSlow(part.name) from error
        except httpx.LocalProtocolError as error:
            raise Malformed from error
        except httpx.HTTPError as error:
            log.warning("part unavailable", part=part.name, error=repr(error))
            raise PartUnavailable(part.name) from error
        if self._prefix.anonymous and from_page(request):
            answer = await cookies.keep(self._gateway, request, visitor, answer)
        if answer.status_code == 401 and visitor.principal and (cookie := request.cookies.get(COOKIE)):
            self._gateway.browsers.doubt(cookie, visitor.slug, visitor.token)
        self.begun = True
        try:
            # A redirect names the service's own address; the client knows only ours.
            inside = part.base.encode()
            headers = [
                (k, v.removeprefix(inside) if k == b"location" else v)
                for k, v in _kept(answer.headers.raw, OURS_OUTWARD)
            ]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._finished = True
            await send({"type": "http.response.body", "body": b""})
        except httpx.HTTPError as error:
            # The server now closes the connection: the client sees an answer that was cut short.
            log.error("answer cut short", part=part.name, error=repr(error))
        finally:
            await answer.aclose()

    def _request(self, request: Request, visitor: Visitor) -> httpx.Request:
        scope, part = self._scope, self._gateway.parts[self._prefix.part]
        if BAD_PATH.search(scope["path"]):
            raise Malformed
        # No service but auth is shown a secret, and none another token than the one that was checked.
        kept_back = (
            OURS_INWARD if self._prefix.anonymous and not visitor.principal else OURS_INWARD | {b"authorization"}
        )
        headers = [(k, v) for k, v in _kept(scope["headers"], kept_back) if not k.startswith(b"x-forwarded-")]
        ours = {
            "X-Forwarded-Host": visitor.host,
            "X-Forwarded-Proto": scope["scheme"],
            "X-Forwarded-For": visitor.address,
            "X-Request-Id": scope["state"]["request_id"],
            **telemetry.trace_headers(),
        }
        if visitor.principal:
            ours["Authorization"] = f"Bearer {visitor.token}"
        headers += [(name.encode(), value.encode()) for name, value in ours.items()]
        # The target goes as it came: a library that tidies paths could turn one into another.
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        extensions = {"target": target, "timeout": part.timeouts}
        framed = "content-length" in request.headers or "transfer-encoding" in request.headers
        self._bound(int(request.headers.get("content-length", 0)))
        body = self._body(request) if framed else None
        if body is None:
            self._body_read.set()
        return httpx.Request(scope["method"], part.url, headers=headers, content=body, extensions=extensions)

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            self._bound(received)
            yield chunk
        self._body_read.set()

    def _bound(self, size: int) -> None:
        limit = self._gateway.settings.body_bytes
        if size > limit and not self._prefix.any_size:
            raise BodyTooLarge(f"The limit is {limit} bytes.")

    async def _patiently(self) -> Message:
        try:
            async with asyncio.timeout(self._gateway.settings.stall_timeout_s):
                return await self._receive()
        except TimeoutError:
            raise ClientTooSlow from None


def _kept(headers: list[tuple[bytes, bytes]], ours: set[bytes]) -> list[tuple[bytes, bytes]]:
    """Headers for the other side: neither hop-by-hop (RFC 9110 section 7.6.1) nor ours to say."""
    lower = [(name.lower(), value) for name, value in headers]
    named = {token.strip().lower() for name, value in lower if name == b"connection" for token in value.split(b",")}
    dropped = HOP_BY_HOP | ours | named
    return [(name, value) for name, value in lower if name not in dropped]
