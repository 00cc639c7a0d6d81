"""The recent events of the stream, in memory: what a socket that comes back missed, or that it can't be told."""

from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from codetect_shared.streams import Cursor

BEGINNING = "-1.00000000"


@dataclass(frozen=True, slots=True)
class Entry:
    """An event's place in the stream; `frame` is what its facility's sockets are sent, None: nothing."""

    mark: str
    facility_id: UUID
    frame: str | None


class Ring:
    """The last `size` events by their offset. Offsets grow, and may leave gaps."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self.last = -1

    @property
    def cursor(self) -> str:
        """Where the ring is: the cursor of its newest event."""
        return cursor_text(self.last, self._entries[self.last].mark) if self._entries else BEGINNING

    def add(self, cursor: Cursor, facility_id: UUID, frame: str | None) -> bool:
        """Keep an event; False when it is a copy of one seen before, which keeps its place but isn't told again."""
        new = cursor.event_id not in self._seen
        self._entries[cursor.offset] = Entry(mark(cursor.event_id), facility_id, frame if new else None)
        self._seen[cursor.event_id] = None
        self.last = cursor.offset
        for held in (self._entries, self._seen):
            if len(held) > self._size:
                held.popitem(last=False)
        return new

    def clear(self) -> None:
        """The stream is another one. What was seen stays known, should it be sent again."""
        self._entries.clear()
        self.last = -1

    def missed(self, after: str, facility_id: UUID) -> list[str] | None:
        """A facility's frames after a cursor; None when the ring can't say."""
        offset = offset_in(after)
        if offset is None:
            return None
        if offset == -1:
            known = after == BEGINNING and (not self._entries or next(iter(self._entries)) == 0)
        else:
            entry = self._entries.get(offset)
            known = entry is not None and after == cursor_text(offset, entry.mark)
        if not known:
            return None
        later = (self._entries.get(n) for n in range(offset + 1, self.last + 1))
        return [e.frame for e in later if e and e.frame is not None and e.facility_id == facility_id]


def mark(event_id: UUID) -> str:
    """What tells events at one offset of two streams apart: the random end of the id."""
    return event_id.hex[-8:]


def cursor_text(offset: int, mark: str) -> str:
    """A cursor as clients see it; the same at every gateway process."""
    return f"{offset}.{mark}"


def offset_in(cursor: str) -> int | None:
    """The offset a cursor names, or None when it is no cursor."""
    number, dot, mark = cursor.partition(".")
    well_formed = dot and len(mark) == 8 and len(number) <= 19 and number.removeprefix("-").isdecimal()
    return int(number) if well_formed else None
