"""The recent events of the stream, in memory: what a socket that comes back missed, or that it can't be told.

A cursor is `<offset>.<last 8 hex digits of the event's id>`: the same at every gateway process, and not true of another
stream's event. Before anything was read it is the place before the first, with zeros.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from codetect_shared.streams import Cursor

FORM = re.compile(r"(-1|[0-9]{1,18})\.[0-9a-f]{8}")
NOWHERE = -2


@dataclass(frozen=True, slots=True)
class Entry:
    """An event's place; `frame` is what its facility's sockets are sent, None: nothing."""

    cursor: str
    facility_id: UUID | None
    frame: str | None


class Ring:
    """The last `size` events by their offset. Offsets grow, and may leave gaps."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self.begin(0)

    def begin(self, offset: int) -> None:
        """Hold nothing but the place before `offset`; what was seen stays known, should it come again."""
        self.last = offset - 1
        self._entries = OrderedDict({self.last: Entry(f"{self.last}.00000000", None, None)})

    @property
    def cursor(self) -> str:
        """Where the ring is: the cursor of its newest event."""
        return self._entries[self.last].cursor

    def add(self, cursor: Cursor, facility_id: UUID, frame: str | None) -> bool:
        """Keep an event; False when it is a copy of one seen before, which keeps its place but isn't told again."""
        new = cursor.event_id not in self._seen
        self._entries[cursor.offset] = Entry(cursor_text(cursor), facility_id, frame if new else None)
        self._seen[cursor.event_id] = None
        self.last = cursor.offset
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return new

    def missed(self, after: str, facility_id: UUID) -> list[str] | None:
        """A facility's frames after a cursor; None when the ring can't say."""
        offset = offset_in(after)
        entry = self._entries.get(offset)
        if entry is None or entry.cursor != after:
            return None
        later = (self._entries.get(n) for n in range(offset + 1, self.last + 1))
        return [e.frame for e in later if e and e.frame is not None and e.facility_id == facility_id]


def cursor_text(cursor: Cursor) -> str:
    """A cursor as clients see it; the end of an id is its random part."""
    return f"{cursor.offset}.{cursor.event_id.hex[-8:]}"


def offset_in(text: str) -> int:
    """The offset a cursor names; NOWHERE when it is no cursor."""
    match = FORM.fullmatch(text)
    return int(match[1]) if match else NOWHERE
