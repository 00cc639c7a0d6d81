"""`/api/v1/live`: tickets over HTTP, then a WebSocket whose first frame names one."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from codetect_shared.problems import Forbidden, ServiceUnavailable, Unauthenticated, responses
from codetect_shared.tokens import Role, Scope, bearer
from fastapi import APIRouter, Depends, Request
from jose import jwt  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from codetect_gateway import tickets
from codetect_gateway.browsers import CrossSite, LoginEnded
from codetect_gateway.context import Gateway, gateway_of
from codetect_gateway.door import UnknownHost, address_of, host_of
from codetect_gateway.limits import TooFast
from codetect_gateway.live import BAD_ORIGIN, BAD_TICKET, CLOSED, GONE, POLICY, TRY_LATER, Socket, StreamBehind

log = structlog.get_logger()
router = APIRouter(prefix="/api/v1/live", tags=["live"])
FIRST_FRAME_S = 5
CLOSE_S = 20
REASONS = {
    BAD_TICKET: "get a new ticket",
    BAD_ORIGIN: "not from this site",
    POLICY: "nothing but a ticket is expected here",
    TRY_LATER: "try again later",
}


class Ticket(BaseModel):
    """What a socket's first frame needs, and where the stream of events is now."""

    ticket: str = Field(description="For one socket, within 30 s.")
    cursor: str = Field(description="Read state after this, then pass it as `after`: nothing falls in between.")


class FirstFrame(BaseModel):
    """What a client sends, once."""

    model_config = ConfigDict(strict=True)
    ticket: str = Field(max_length=100)
    after: str | None = Field(None, max_length=40)


class BadOrigin(Exception):
    """Another site's page wants to open a socket here."""


class BadTicket(Exception):
    """A ticket that is unknown, used, too old, another facility's, or of somebody who is refused by now."""


class TooManySockets(Exception):
    """Somebody has enough of them."""


# What keeps a socket from staying, and the code it is closed with.
REFUSALS: dict[type[Exception], int] = {
    BadOrigin: BAD_ORIGIN,
    BadTicket: BAD_TICKET,
    UnknownHost: BAD_TICKET,
    ValidationError: BAD_TICKET,
    KeyError: BAD_TICKET,
    TimeoutError: BAD_TICKET,
    TooFast: TRY_LATER,
    TooManySockets: TRY_LATER,
    StreamBehind: TRY_LATER,
    SQLAlchemyError: TRY_LATER,
    OSError: TRY_LATER,
    WebSocketDisconnect: GONE,
}


@router.post(
    "/ticket",
    dependencies=[Depends(bearer)],  # for the document: the door checks it, or the cookie
    status_code=201,
    responses=responses(Unauthenticated, LoginEnded, CrossSite, Forbidden, UnknownHost, TooFast, ServiceUnavailable),
)
async def create_live_ticket(request: Request) -> Ticket:
    """A single-use ticket for the WebSocket `/api/v1/live`."""
    gateway = gateway_of(request)
    visitor = await gateway.door.admit(request)
    who = visitor.principal
    if who is None:
        raise Unauthenticated
    if who.role is Role.API_CLIENT and Scope.READ not in who.scopes:
        raise Forbidden("This API client lacks the scope `read`.")
    await gateway.live.ready()
    cursor = gateway.live.ring.cursor
    expires: int = jwt.get_unverified_claims(visitor.token)["exp"]
    ticket = await tickets.issue(gateway.db, who, expires, gateway.settings.ticket_s)
    return Ticket(ticket=ticket, cursor=cursor)


async def live_socket(websocket: WebSocket) -> None:
    """Frames of one facility's events, for as long as the token that fetched the ticket lasts."""
    gateway = gateway_of(websocket)
    await websocket.accept()
    try:
        holder, after = await _introduce(gateway, websocket)
        if gateway.live.refuses(holder):
            raise BadTicket
    except tuple(REFUSALS) as error:
        await _refuse(gateway, websocket, error)
        return
    socket, opening = gateway.live.join(holder, after)
    reading = asyncio.create_task(_read(websocket, socket))
    try:
        async with socket.life:
            for frame in opening:
                await websocket.send({"type": "websocket.send", "text": frame})
            opening.clear()
            while True:
                await websocket.send({"type": "websocket.send", "text": await socket.frames.get()})
    except (WebSocketDisconnect, RuntimeError):
        socket.code = GONE
    except TimeoutError:
        pass  # the token's end, or what `socket.code` says
    finally:
        reading.cancel()
        gateway.live.leave(socket)
    if socket.code != GONE:
        await _close(websocket, socket.code or BAD_TICKET)


async def _introduce(gateway: Gateway, websocket: WebSocket) -> tuple[tickets.Holder, str | None]:
    """Who opens the socket, and where it wants to go on. Raises one of REFUSALS."""
    gateway.door.check(address_of(websocket))
    slug = gateway.door.facilities.slug(host_of(websocket))
    if not _from_here(websocket, gateway.settings.allowed_origins):
        raise BadOrigin
    async with asyncio.timeout(FIRST_FRAME_S):
        frame = FirstFrame.model_validate_json(await websocket.receive_text())
    await gateway.live.ready()
    holder = await tickets.claim(gateway.db, frame.ticket)
    if holder is None or holder.slug != slug:
        raise BadTicket
    if gateway.live.held_by(holder) >= gateway.settings.sockets_per_person:
        raise TooManySockets
    await gateway.live.reach(frame.after or "")
    return holder, frame.after


def _from_here(websocket: WebSocket, allowed: str) -> bool:
    """Browsers always name the page's origin; a program names none."""
    origin = websocket.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == host_of(websocket) or origin in map(str.strip, allowed.split(","))


async def _read(websocket: WebSocket, socket: Socket) -> None:
    """Notice the client's going; whatever else it sends isn't expected."""
    message = await websocket.receive()
    socket.close(GONE if message["type"] == "websocket.disconnect" else POLICY)


async def _refuse(gateway: Gateway, websocket: WebSocket, error: Exception) -> None:
    """Whoever guesses is counted."""
    code = next(code for kind, code in REFUSALS.items() if isinstance(error, kind))
    if code in (BAD_TICKET, BAD_ORIGIN):
        with suppress(TooFast):
            gateway.door.count(address_of(websocket))
    if code != GONE:
        await _close(websocket, code)


async def _close(websocket: WebSocket, code: int) -> None:
    """Say why. A client that reads nothing gets some time to do so, then the connection is left to the kernel."""
    CLOSED.labels(str(code)).inc()
    try:
        async with asyncio.timeout(CLOSE_S):
            await websocket.close(code, REASONS.get(code))
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        log.info("socket lost", code=code)
