"""Everything that happens in a facility, to its open sockets: one reader of the change stream a process.

Nothing is awaited between reading the ring and registering a socket, so no event falls between the two.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog
from codetect_shared import bus, streams
from codetect_shared.bus import Envelope
from codetect_shared.events import AccessRefused, FacilityOpened, FacilityReactivated, FacilitySuspended, SessionEnded
from codetect_shared.problems import ServiceUnavailable
from codetect_shared.refusals import Refusal, Refusals
from codetect_shared.streams import Cursor
from codetect_shared.tokens import LIFETIME_S
from prometheus_client import Counter, Gauge, Histogram
from pydantic import SecretStr

from codetect_gateway.ring import Ring, cursor_text, offset_in
from codetect_gateway.tickets import Holder

log = structlog.get_logger()
SOCKETS = Gauge("codetect_gateway_sockets", "Open sockets.")
FRAMES = Counter("codetect_gateway_frames_total", "Frames handed to sockets.")
RESYNCS = Counter("codetect_gateway_resyncs_total", "Sockets told that they may have missed something.")
CLOSED = Counter("codetect_gateway_sockets_closed_total", "Sockets we closed, by code.", ["code"])
DELAY = Histogram(
    "codetect_gateway_event_delay_seconds",
    "From an event's time to its frame.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
STREAM = Gauge("codetect_gateway_stream_connected", "Whether the change stream is being read.")

VISIBLE = ("codetect.upload.", "codetect.study.", "codetect.analysis.", "codetect.model.", "codetect.feedback.")
AHEAD_S = 5.0
QUIET_S = 5.0
KEPT_S = LIFETIME_S + 60
GONE, POLICY, TRY_LATER, BAD_TICKET, BAD_ORIGIN, TOO_SLOW = 0, 1008, 1013, 4401, 4403, 4408


class StreamBehind(ServiceUnavailable):
    """The events of late are still being read; try again in a few seconds."""


@dataclass(eq=False, slots=True)
class Socket:
    """One open socket: whose it is, the frames it hasn't been sent, and the span of its life."""

    holder: Holder
    frames: asyncio.Queue[str]
    life: asyncio.Timeout
    code: int | None = None

    def push(self, frame: str) -> None:
        """Queue a frame; a socket that doesn't keep up is closed, and comes back with its cursor."""
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.close(TOO_SLOW)

    def close(self, code: int) -> None:
        """End its life at once, for a reason; the first one counts."""
        if self.code is None and not self.life.expired():
            self.code = code
            self.life.reschedule(0)


class Live:
    """The ring, the sockets, and the reader that fills both."""

    def __init__(self, url: SecretStr, ring_events: int, room: int, on_facility: Callable[[], None]) -> None:
        self.ring = Ring(ring_events)
        self._url, self._ring_events, self._room, self._on_facility = url, ring_events, room, on_facility
        self._refused = Refusals()
        self._sockets: defaultdict[UUID, set[Socket]] = defaultdict(set)
        self._at: Cursor | None = None
        self._wanted = 0
        self._heard: float | None = None
        self._caught_up = asyncio.Event()
        SOCKETS.set_function(lambda: sum(map(len, self._sockets.values())))

    # Reading the stream

    async def run(self) -> None:
        """Read until cancelled, through every interruption."""
        await bus.forever("gateway.live", self._read)

    async def _read(self) -> None:
        start = self._at or await self._begin()
        STREAM.set(1)
        try:
            async for cursor, envelope in streams.follow(self._url, "gateway.live", start):
                self._take(cursor, envelope)
        except streams.StreamReplaced as error:
            log.error("the stream is another one", error=str(error))
            self._replaced()
        finally:
            STREAM.set(0)

    async def _begin(self) -> int:
        """Where to read from, so that the ring is full when the newest event is in it."""
        last = await streams.last_offset(self._url, "gateway.live")
        self._wanted = -1 if last is None else last
        start = max(self._wanted - self._ring_events + 1, 0)
        self.ring.begin(start)
        self._heard = time.monotonic()
        if last is None:
            self._caught_up.set()
        return start

    def _take(self, cursor: Cursor, envelope: Envelope) -> None:
        self._at, self._heard = cursor, time.monotonic()
        frame = frame_of(cursor, envelope) if envelope.type.startswith(VISIBLE) else None
        if self.ring.add(cursor, envelope.facility_id, frame):
            self._tell(envelope, frame)
        if cursor.offset >= self._wanted:
            self._caught_up.set()

    def _tell(self, envelope: Envelope, frame: str | None) -> None:
        sockets = self._sockets.get(envelope.facility_id, ())
        if frame is not None:
            _push_all(sockets, frame)
            DELAY.observe(max(0.0, time.time() - envelope.time.timestamp()))
        elif envelope.type in (FacilityOpened.type, FacilitySuspended.type, FacilityReactivated.type):
            self._on_facility()
            for socket in sockets if envelope.type == FacilitySuspended.type else ():
                socket.close(BAD_TICKET)

        elif refusal := refusal_in(envelope):
            self._end(Refusals([refusal]), sockets)

    def _replaced(self) -> None:
        """What was told between the two streams may be lost: everybody asks the services for the present state."""
        self._at = None
        self.ring.begin(0)
        for sockets in self._sockets.values():
            _push_all(sockets, self.resync())

    async def ready(self) -> None:
        """Return when the ring holds what it should. Raises StreamBehind.

        The newest message may be none of ours and never show: silence after the start counts, too.
        """
        if not self._caught_up.is_set() and self._heard and time.monotonic() - self._heard > QUIET_S:
            self._caught_up.set()
        try:
            async with asyncio.timeout(2):
                await self._caught_up.wait()
        except TimeoutError:
            raise StreamBehind from None

    # Sockets

    async def reach(self, after: str) -> None:
        """Wait a moment for a cursor that another gateway process gave out before this one has read so far."""
        deadline = time.monotonic() + AHEAD_S
        while offset_in(after) > self.ring.last and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def join(self, holder: Holder, after: str | None) -> tuple[Socket, list[str]]:
        """Register a socket, and give the frames it is sent first: `ready`, then what it missed, or `resync`."""
        missed = self.ring.missed(after, holder.facility_id) if after else []
        life = asyncio.timeout(holder.token_expires_at.timestamp() - time.time())
        socket = Socket(holder, asyncio.Queue(self._room), life)
        self._sockets[holder.facility_id].add(socket)
        if missed is None:
            return socket, [control("ready", self.ring.cursor), self.resync()]
        return socket, [control("ready", after or self.ring.cursor), *missed]

    def leave(self, socket: Socket) -> None:
        """The other end of `join`."""
        self._sockets[socket.holder.facility_id].discard(socket)

    def refuses(self, holder: Holder) -> bool:
        """Whether what somebody holds a ticket for is over; nothing may be awaited between this and `join`."""
        return _hit(self._refused, holder)

    def learn(self, refusals: Refusals) -> None:
        """What auth says of everybody, should the broker be away."""
        self._end(refusals, (each for sockets in self._sockets.values() for each in sockets))

    def _end(self, refusals: Refusals, sockets: Iterable[Socket]) -> None:
        """Close the sockets of whoever is refused from now on, and remember it for tickets that are still out."""
        self._refused.update(refusals)
        for socket in sockets:
            if _hit(refusals, socket.holder):
                socket.close(BAD_TICKET)

    def forget(self) -> None:
        """Forget refusals that no token can meet any more."""
        self._refused.forget(int(time.time()) - KEPT_S)

    def held_by(self, holder: Holder) -> int:
        """How many sockets somebody has open here."""
        return sum(each.holder.subject == holder.subject for each in self._sockets[holder.facility_id])

    def resync(self) -> str:
        """The frame that says: something may be missing, ask the services."""
        RESYNCS.inc()
        return control("resync", self.ring.cursor)


def refusal_in(envelope: Envelope) -> Refusal | None:
    """Whom an event says is refused."""
    event, facility_id = envelope.data, envelope.facility_id
    if envelope.type == SessionEnded.type:
        return Refusal(facility_id, int(envelope.time.timestamp()), session_id=UUID(event["session_id"]))
    if envelope.type == AccessRefused.type:
        return Refusal(facility_id, event["since"], event["subject"])
    return None


def _hit(refusals: Refusals, who: Holder) -> bool:
    return refusals.hit(who.facility_id, who.subject, who.session_id, who.issued_at)


def _push_all(sockets: Iterable[Socket], frame: str) -> None:
    for socket in sockets:
        socket.push(frame)
        FRAMES.inc()


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
    frame = {
        "type": envelope.type,
        "time": envelope.time.isoformat().replace("+00:00", "Z"),
        "cursor": cursor_text(cursor),
        "data": envelope.data | about,
    }
    return json.dumps(frame, separators=(",", ":"))
