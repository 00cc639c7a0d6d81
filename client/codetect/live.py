"""What happens at a facility, as it happens: a WebSocket that comes back after every cut and misses nothing."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from typing import Any

from pydantic import ValidationError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from codetect.api import LOOPBACK, TRANSIENT, Api, backoff, is_localhost
from codetect.errors import Refused, Unreachable
from codetect.models import LiveEvent, Model

TICKET_PATH = "/api/v1/live/ticket"
SOCKET_PATH = "/api/v1/live"
FORBIDDEN_ORIGIN = 4403


class Ticket(Model):
    """Lets one socket in, for half a minute."""

    ticket: str
    cursor: str | None = None


async def watch(api: Api, after: str | None, patience_s: float) -> AsyncGenerator[LiveEvent, None]:
    """Events after a cursor (by default: from now on), without end.

    `ready` comes first, and again after each cut; what happened in between is told then, or `resync` says that the
    server no longer holds it. Raises Unreachable when there is no connection for `patience_s` seconds.
    """
    lost = time.monotonic()
    pauses = backoff()
    while True:
        try:
            ticket = await api.post(Ticket, TICKET_PATH, retry=True)
            after = after or ticket.cursor
            async with _socket(api) as socket:
                await socket.send(json.dumps({"ticket": ticket.ticket} | ({"after": after} if after else {})))
                async for frame in socket:
                    if event := _event(frame):
                        if event.type != "ready":
                            after = event.cursor or after
                        yield event
                        lost, pauses = time.monotonic(), backoff()
            reason = "the server closed the connection"
        except ConnectionClosed as closed:
            reason = str(closed)
            if closed.rcvd and closed.rcvd.code == FORBIDDEN_ORIGIN:
                raise Refused(403, {"title": "The server takes no live connection from here."}) from None
        except Refused as refused:
            if refused.status not in TRANSIENT:
                raise
            reason = str(refused)
        except (Unreachable, OSError, WebSocketException) as error:
            reason = str(error) or type(error).__name__
        if time.monotonic() - lost > patience_s:
            raise Unreachable(f"There is no live connection to {api.address}: {reason}.")
        await asyncio.sleep(next(pauses))


def _socket(api: Api) -> connect:
    """A connection to come; names below `.localhost` mean this machine."""
    scheme = "wss" if api.tls else "ws"
    port = api.url.port or (443 if api.tls else 80)
    here: dict[str, Any] = {"host": LOOPBACK, "port": port, "proxy": None} if is_localhost(api.url.host) else {}
    tls: dict[str, Any] = {"ssl": api.tls} if api.tls else {}
    netloc = api.url.netloc.decode("ascii")
    return connect(f"{scheme}://{netloc}{SOCKET_PATH}", compression=None, **here, **tls)


def _event(frame: str | bytes) -> LiveEvent | None:
    """A frame; what isn't one of ours is passed over."""
    try:
        return LiveEvent.model_validate_json(frame)
    except ValidationError:
        return None
