"""`/api/v1/live`: tickets over HTTP, then a WebSocket whose first frame names one."""

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
from codetect_shared.problems import Forbidden, ServiceUnavailable, Unauthenticated, responses
from codetect_shared.tokens import Role, Scope, authenticated
from fastapi import APIRouter, Depends, Request
from jose import jwt  # type: ignore[import-untyped]
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect

from codetect_gateway import tickets
from codetect_gateway.door import Door, UnknownHost
from codetect_gateway.limits import TooFast
from codetect_gateway.live import BAD_ORIGIN, BAD_TICKET, CLOSED, POLICY, TRY_LATER, Live, Socket
from codetect_gateway.settings import Settings

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


class Refused(Exception):
    """A socket that may not stay, and the code it is closed with."""

    def __init__(self, code: int) -> None:
        self.code = code


@router.post(
    "/ticket",
    dependencies=[Depends(authenticated)],
    status_code=201,
    responses=responses(Unauthenticated, Forbidden, ServiceUnavailable),
)
async def create_live_ticket(request: Request) -> Ticket:
    """A single-use ticket for the WebSocket `/api/v1/live`."""
    state = request.app.state
    door: Door = state.door
    live: Live = state.live
    visitor = await door.admit(request)
    assert visitor.principal is not None
    if visitor.principal.role is Role.API_CLIENT and Scope.READ not in visitor.principal.scopes:
        raise Forbidden("This API client lacks the scope `read`.")
    try:
        await live.ready()
    except TimeoutError:
        raise ServiceUnavailable("The stream of events is still being read.") from None
    expires: int = jwt.get_unverified_claims(visitor.token)["exp"]
    cursor = live.ring.cursor
    ticket = await tickets.issue(state.db, visitor.principal, expires, state.settings.ticket_s)
    return Ticket(ticket=ticket, cursor=cursor)


async def live_socket(websocket: WebSocket) -> None:
    """Frames of one facility's events, for as long as the token that fetched the ticket lasts."""
    await websocket.accept()
    try:
        holder, after = await _introduce(websocket)
    except Refused as refused:
        if refused.code in (BAD_TICKET, BAD_ORIGIN):
            with suppress(TooFast):
                websocket.app.state.door.count(_address(websocket))
        await _close(websocket, refused.code)
        return
    except WebSocketDisconnect:
        return
    live: Live = websocket.app.state.live
    socket, opening = live.join(holder, after)
    loop = asyncio.get_running_loop()
    expiry = loop.call_later(holder.token_expires_at.timestamp() - time.time(), socket.close, BAD_TICKET)
    tasks = [loop.create_task(_read(websocket, socket)), loop.create_task(_write(websocket, socket, opening))]
    try:
        code = await socket.closing
    finally:
        expiry.cancel()
        live.leave(socket)
        for task in tasks:
            task.cancel()
    if code:
        await _close(websocket, code)


async def _introduce(websocket: WebSocket) -> tuple[tickets.Holder, str | None]:
    """Who opens the socket, and where it wants to go on."""
    state = websocket.app.state
    door: Door = state.door
    live: Live = state.live
    settings: Settings = state.settings
    host = websocket.headers.get("host", "").lower()
    try:
        door.check(_address(websocket))
        slug = door.facilities.slug(host)
    except TooFast:
        raise Refused(TRY_LATER) from None
    except UnknownHost:
        raise Refused(BAD_TICKET) from None
    if not _from_here(websocket.headers.get("origin"), host, settings.allowed_origins):
        raise Refused(BAD_ORIGIN)
    try:
        async with asyncio.timeout(FIRST_FRAME_S):
            frame = FirstFrame.model_validate_json(await websocket.receive_text())
    except (TimeoutError, ValidationError, KeyError):
        raise Refused(BAD_TICKET) from None
    try:
        await live.ready()
        holder = await tickets.claim(state.db, frame.ticket)
    except (TimeoutError, OSError, SQLAlchemyError):
        raise Refused(TRY_LATER) from None
    if holder is None or holder.slug != slug:
        raise Refused(BAD_TICKET)
    if live.held_by(holder.subject) >= settings.sockets_per_person:
        raise Refused(TRY_LATER)
    await live.reach(frame.after)
    return holder, frame.after


def _address(websocket: WebSocket) -> str:
    return websocket.client.host if websocket.client else ""


def _from_here(origin: str | None, host: str, allowed: str) -> bool:
    """Browsers always name the page's origin; a program names none."""
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == host or origin in (each.strip() for each in allowed.split(","))


async def _write(websocket: WebSocket, socket: Socket, opening: list[str]) -> None:
    try:
        for frame in opening:
            await websocket.send({"type": "websocket.send", "text": frame})
        opening.clear()
        while True:
            await socket.wake.wait()
            socket.wake.clear()
            while socket.frames:
                await websocket.send({"type": "websocket.send", "text": socket.frames.popleft()})
    except (WebSocketDisconnect, RuntimeError):
        socket.close(0)


async def _read(websocket: WebSocket, socket: Socket) -> None:
    """Notice the client's going; whatever else it sends isn't expected."""
    message = await websocket.receive()
    socket.close(0 if message["type"] == "websocket.disconnect" else POLICY)


async def _close(websocket: WebSocket, code: int) -> None:
    """Say why. A client that reads nothing gets some time to do so, then the connection is left to the kernel."""
    CLOSED.labels(str(code)).inc()
    try:
        async with asyncio.timeout(CLOSE_S):
            await websocket.close(code, REASONS.get(code))
    except (TimeoutError, WebSocketDisconnect, RuntimeError):
        log.info("socket lost", code=code)
