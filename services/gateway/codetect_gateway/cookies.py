"""Where browsers' requests differ from programs': tokens become a cookie on the way out, logging out needs no token."""

import json
from contextlib import suppress

import httpx
from starlette.requests import Request
from starlette.responses import Response

from codetect_gateway.browsers import CLEARED, COOKIE, LOGOUT, REFRESH, SECRET, HttpsNeeded, LoginEnded, from_page
from codetect_gateway.context import Gateway
from codetect_gateway.door import Visitor
from codetect_gateway.parts import API, PartUnavailable

CLIENTS = "/oauth/token"  # an API client's, asked for on a page, is no login of who looks at that


async def answer(gateway: Gateway, request: Request, visitor: Visitor) -> Response | None:
    """What a page gets from us alone: the end of its login, or new tokens behind it. Raises HttpsNeeded, LoginEnded."""
    path, cookie = request.url.path, request.cookies.get(COOKIE)
    if not from_page(request) or request.method != "POST" or not path.startswith(f"{API}/auth/"):
        return None
    if request.url.scheme != "https" and not _is_local(visitor.host):
        raise HttpsNeeded
    if cookie and path == LOGOUT:
        await gateway.browsers.end(cookie, visitor.slug, visitor.host, visitor.address)
        return Response(status_code=204, headers={"Set-Cookie": CLEARED})
    if cookie and path == REFRESH:
        if not await gateway.browsers.renew(cookie, visitor.slug, visitor.host, visitor.address):
            raise LoginEnded
        return Response(status_code=204)
    return None


async def keep(gateway: Gateway, request: Request, visitor: Visitor, told: httpx.Response) -> httpx.Response:
    """Auth's answer to a page; tokens in it stay here, and a cookie goes instead. A login before it is ended."""
    if told.status_code == 401 and COOKIE in request.cookies and visitor.principal is None:
        told.headers["set-cookie"] = CLEARED
    if request.method != "POST" or told.status_code != 200 or request.url.path == CLIENTS:
        return told
    body = await told.aread()
    said = json.loads(body) if told.headers.get("content-type") == "application/json" else None
    tokens = said if isinstance(said, dict) and "access_token" in said else {}
    headers = [(name, value) for name, value in told.headers.raw if name.lower() != b"content-length"]
    before = request.cookies.get(COOKIE)
    if "refresh_token" in tokens:
        if before:
            with suppress(PartUnavailable):
                await gateway.browsers.end(before, visitor.slug, visitor.host, visitor.address)
        cookie = await gateway.browsers.open(visitor.slug, tokens)
        headers.append((b"set-cookie", cookie.encode()))
    elif tokens and before:
        await gateway.browsers.adopt(before, visitor.slug, tokens)
    if tokens:
        body = json.dumps({name: value for name, value in tokens.items() if name not in SECRET}).encode()
    headers.append((b"content-length", str(len(body)).encode()))
    return httpx.Response(told.status_code, headers=headers, stream=httpx.ByteStream(body))


def _is_local(host: str) -> bool:
    """Whether browsers take the way to this host for safe although it isn't encrypted."""
    name = host.rsplit(":", 1)[0]
    return name == "localhost" or name.endswith(".localhost")
