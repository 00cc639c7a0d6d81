"""Files as who asks may see them: clean as they are kept, or with the original identity put back."""

import asyncio
from collections.abc import Mapping, Sequence

from codetect_ingest.dicom.identity import restored_file
from codetect_ingest.dicomweb import elements
from codetect_ingest.dicomweb.blocks import Blocks
from codetect_ingest.dicomweb.elements import Bytes
from codetect_ingest.dicomweb.finding import Located
from codetect_ingest.dicomweb.splicing import Splicer
from codetect_ingest.dicomweb.views import PSEUDONYMOUS_TAGS, OriginalView, View
from codetect_ingest.identities import instance_owner
from codetect_ingest.models import Kind

AT_ONCE = 50
LONGEST_START = 1024  # of what our files have before their data set
UTF_8 = elements.encode({"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}})


class Giving:
    """What a view makes of files; `names` are the originals of UIDs that documents among them refer to."""

    def __init__(self, view: View, names: Mapping[str, str]) -> None:
        self._view, self._names = view, names
        self._splicer = Splicer(PSEUDONYMOUS_TAGS)
        self._levels: dict[tuple[object, object], dict[int, bytes]] = {}
        self._begun: dict[tuple[object, str], tuple[bytes, int]] = {}  # beginnings made before, and how long they were

    async def length(self, blocks: Blocks, located: Sequence[Located]) -> int | None:
        """Return how many bytes the files have as they are given, where that can be known before they are.

        It can where who asks sees pseudonyms, and where beginnings are at hand in memory: identities are put into them
        now, and not again when the files are given.
        """
        plain: int = sum(one.instance.length for one in located)
        if not isinstance(self._view, OriginalView):
            return plain
        for number, one in enumerate(located):
            if one.series.kind != Kind.IMAGE or not one.instance.header_length:
                return None
            front = _front(blocks, one)
            if front is None:
                return None
            made = self._restored(one, front)
            self._begun[one.series.id, one.instance.sop_instance_uid] = made, len(front)
            plain += len(made) - len(front)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        return plain

    async def given(self, one: Located, pieces: Sequence[Bytes]) -> Sequence[Bytes]:
        """Return a file that is kept, in pieces, as it is given; its image isn't even copied."""
        if one.series.kind == Kind.SEALED:
            return [await asyncio.to_thread(self.unsealed, one, b"".join(pieces))]
        if not isinstance(self._view, OriginalView):
            return pieces
        if one.series.kind == Kind.RESULT or not one.instance.header_length:
            return [await asyncio.to_thread(self._restored_whole, one, b"".join(pieces))]
        return self._spliced(one, pieces)

    def unsealed(self, one: Located, data: bytes) -> bytes:
        """Open a file that was kept as it came."""
        assert isinstance(self._view, OriginalView)
        owner = instance_owner(one.instance.series_id, one.instance.sop_instance_uid)
        return self._view.key.unseal_bytes(data, owner)

    def _spliced(self, one: Located, pieces: Sequence[Bytes]) -> Sequence[Bytes]:
        """Put the identity back without touching the image."""
        begun = self._begun.pop((one.series.id, one.instance.sop_instance_uid), None)
        if begun:
            _, image = divided(pieces, begun[1])
            return [begun[0], *image]
        beginning, _ = divided(pieces, elements.META)
        front, image = divided(pieces, elements.header_start(beginning) + one.instance.header_length)
        return [self._restored(one, front), *image]

    def _restored(self, one: Located, front: bytes) -> bytes:
        """Put the identity into a file up to its image; levels that many instances share are encoded once."""
        shared = (one.study.id, one.series.id)
        if shared not in self._levels:
            levels = (self._view.study(one.study), self._view.series(one.series))
            self._levels[shared] = {tag: part for level in levels for tag, part in elements.encode(level).items()}
        put = self._levels[shared] | elements.encode(self._view.instance(one.instance))
        return self._splicer.splice(front, one.instance.header_length, put | UTF_8) if put else front

    def _restored_whole(self, one: Located, data: bytes) -> bytes:
        """Put identities back into a document, whose references have to follow."""
        levels = (self._view.study(one.study), self._view.series(one.series), self._view.instance(one.instance))
        return restored_file(data, self._names, *levels) if any(levels) else data


def _front(blocks: Blocks, one: Located) -> bytes | None:
    """Return a file up to its image, if that is in memory."""
    row = one.instance
    most = min(row.length, LONGEST_START + row.header_length)
    found = b"".join(blocks.at_hand(row.bucket, row.key, row.offset, row.offset + most) or ())
    end = elements.header_start(found) + row.header_length
    return found[:end] if end <= len(found) else None


def divided(pieces: Sequence[Bytes], at: int) -> tuple[bytes, list[Bytes]]:
    """Divide a file in pieces there; what is before in one piece."""
    before: list[Bytes] = []
    for number, piece in enumerate(pieces):
        if at <= len(piece):
            rest = memoryview(piece)[at:]
            return b"".join((*before, memoryview(piece)[:at])), [rest, *pieces[number + 1 :]]
        before.append(piece)
        at -= len(piece)
    raise ValueError("a file that is shorter than its header")
