"""Everything that happens in a facility, to its open sockets: one reader of the change stream a process.

Nothing is awaited between reading the ring and registering a socket, so no event falls between the two.
"""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from uuid import UUID

import structlog
from codetect_shared import bus, streams
from codetect_shared.bus import Envelope
from codetect_shared.events import FacilityOpened, FacilitySuspended
from codetect_shared.streams import Cursor
from prometheus_client import Counter as Count
from prometheus_client import Gauge, Histogram
from pydantic import SecretStr

from codetect_gateway.ring import Ring, cursor_text, mark, offset_in
from codetect_gateway.tickets import Holder

log = structlog.get_logger()
SOCKETS = Gauge("codetect_gateway_sockets", "Open sockets.")
FRAMES = Count("codetect_gateway_frames_total", "Frames handed to sockets.")
RESYNCS = Count("codetect_gateway_resyncs_total", "Sockets told that they may have missed something.")
CLOSED = Count("codetect_gateway_sockets_closed_total", "Sockets we closed, by code.", ["code"])
DELAY = Histogram(
    "codetect_gateway_event_delay_seconds",
    "From an event's time to its frame.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
STREAM = Gauge("codetect_gateway_stream_connected", "Whether the change stream is being read.")

VISIBLE = ("codetect.upload.", "codetect.study.", "codetect.analysis.", "codetect.model.")
AHEAD_S = 5.0
QUIET_S = 5.0
BAD_TICKET, BAD_ORIGIN, TOO_SLOW, POLICY, TRY_LATER = 4401, 4403, 4408, 1008, 1013


class Socket:
    """One open socket: whose it is, and the frames it hasn't been sent."""

    def __init__(self, holder: Holder, room: int) -> None:
        self.holder = holder
        self.frames: deque[str] = deque()
        self.wake = asyncio.Event()
        self.closing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._room = room

    def push(self, frame: str) -> None:
        """Queue a frame; a socket that doesn't keep up is closed, and comes back with its cursor."""
        if len(self.frames) >= self._room:
            self.close(TOO_SLOW)
        elif not self.closing.done():
            self.frames.append(frame)
            self.wake.set()

    def close(self, code: int) -> None:
        """Ask for the end; 0: the client has gone already."""
        if not self.closing.done():
            self.closing.set_result(code)
            self.frames.clear()


class Live:
    """The ring, the sockets, and the reader that fills both."""

    def __init__(self, url: SecretStr, ring_events: int, room: int, on_facility: Callable[[], None]) -> None:
        self.ring = Ring(ring_events)
        self._url, self._ring_events, self._room, self._on_facility = url, ring_events, room, on_facility
        self._sockets: dict[UUID, set[Socket]] = {}
        self._people: Counter[str] = Counter()
        self._at: Cursor | None = None
        self._wanted = -1
        self._heard = 0.0
        self._caught_up = asyncio.Event()

    # Reading the stream

    async def run(self) -> None:
        """Read until cancelled, through every interruption."""
        await bus.forever("gateway.live", self._read)

    async def _read(self) -> None:
        start: Cursor | int
        if self._at is None:
            last = await streams.last_offset(self._url, "gateway.live")
            self._wanted = -1 if last is None else last
            start = max(self._wanted - self._ring_events + 1, 0)
        else:
            start = self._at
        STREAM.set(1)
        self._heard = time.monotonic()
        self._note_progress()
        try:
            async for cursor, envelope in streams.follow(self._url, "gateway.live", start):
                self._take(cursor, envelope)
        except streams.StreamReplaced as error:
            log.error("the stream is another one", error=str(error))
            self._replaced()
        finally:
            STREAM.set(0)

    def _take(self, cursor: Cursor, envelope: Envelope) -> None:
        self._at = cursor
        self._heard = time.monotonic()
        frame = frame_of(cursor, envelope) if envelope.type.startswith(VISIBLE) else None
        if self.ring.add(cursor, envelope.facility_id, frame):
            sockets = self._sockets.get(envelope.facility_id, ())
            if frame is not None and sockets:
                for socket in sockets:
                    socket.push(frame)
                FRAMES.inc(len(sockets))
                DELAY.observe(max(0.0, time.time() - envelope.time.timestamp()))
            if envelope.type == FacilitySuspended.type:
                self._on_facility()
                self.end(envelope.facility_id, BAD_TICKET)
            elif envelope.type == FacilityOpened.type:
                self._on_facility()
        self._note_progress()

    def _note_progress(self) -> None:
        if self.ring.last >= self._wanted:
            self._caught_up.set()

    def _replaced(self) -> None:
        """What was told between the two streams may be lost: everybody asks the services for the present state."""
        self._at = None
        self.ring.clear()
        for sockets in self._sockets.values():
            for socket in sockets:
                socket.push(self.resync())

    async def ready(self) -> None:
        """Return when the ring holds what it should. Raises TimeoutError.

        The last message may be none of ours and never show: silence after the start counts, too.
        """
        if not self._caught_up.is_set() and self._heard and time.monotonic() - self._heard > QUIET_S:
            self._caught_up.set()
        async with asyncio.timeout(2):
            await self._caught_up.wait()

    # Sockets

    async def reach(self, after: str | None) -> None:
        """Wait a moment for a cursor that another gateway process gave out before this one has read so far."""
        offset = offset_in(after) if after else None
        deadline = time.monotonic() + AHEAD_S
        while offset is not None and offset > self.ring.last and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def join(self, holder: Holder, after: str | None) -> tuple[Socket, list[str]]:
        """Register a socket, and give the frames it is sent first: `ready`, then what it missed, or `resync`."""
        missed: list[str] | None = []
        if after:
            missed = self.ring.missed(after, holder.facility_id)
        socket = Socket(holder, self._room)
        self._sockets.setdefault(holder.facility_id, set()).add(socket)
        self._people[holder.subject] += 1
        SOCKETS.inc()
        if missed is None:
            return socket, [control("ready", self.ring.cursor), self.resync()]
        return socket, [control("ready", after or self.ring.cursor), *missed]

    def leave(self, socket: Socket) -> None:
        """The other end of `join`."""
        sockets = self._sockets[socket.holder.facility_id]
        sockets.remove(socket)
        if not sockets:
            del self._sockets[socket.holder.facility_id]
        self._people[socket.holder.subject] -= 1
        if not self._people[socket.holder.subject]:
            del self._people[socket.holder.subject]
        SOCKETS.dec()

    def held_by(self, subject: str) -> int:
        """How many sockets somebody has open here."""
        return self._people[subject]

    def end(self, facility_id: UUID, code: int) -> None:
        """Close a facility's sockets."""
        for socket in self._sockets.get(facility_id, ()):
            socket.close(code)

    def resync(self) -> str:
        """The frame that says: something may be missing, ask the services."""
        RESYNCS.inc()
        return control("resync", self.ring.cursor)


def control(kind: str, cursor: str) -> str:
    """A frame that is no event."""
    return json.dumps({"type": kind, "cursor": cursor}, separators=(",", ":"))


def frame_of(cursor: Cursor, envelope: Envelope) -> str:
    """An event as sockets are sent it."""
    about = {
        "facility_id": str(envelope.facility_id),
        "subject": envelope.subject,
        "sequence": envelope.sequence,
    }
    return json.dumps(
        {
            "type": envelope.type,
            "time": envelope.time.isoformat().replace("+00:00", "Z"),
            "cursor": cursor_text(cursor.offset, mark(cursor.event_id)),
            "data": envelope.data | about,
        },
        separators=(",", ":"),
    )
