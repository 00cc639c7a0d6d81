"""Instances out of the object store: ranges of packs, a few of them ahead of who reads."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field

from codetect_shared.problems import ServiceUnavailable
from codetect_shared.storage import Bucket, ObjectMissing, Storage, StorageUnavailable

from codetect_ingest.dicomweb.finding import Located
from codetect_ingest.dicomweb.problems import NothingThere

RANGE_BYTES = 4 * 2**20
AHEAD = 2


@dataclass
class Span:
    """A range of one object that holds these instances, one after the other."""

    bucket: Bucket
    key: str
    begin: int
    end: int
    located: list[Located] = field(default_factory=list)


def spans(located: Iterable[Located]) -> list[Span]:
    """Join instances that lie side by side to ranges of some megabytes."""
    found: list[Span] = []
    for one in sorted(located, key=lambda one: (one.instance.bucket, one.instance.key, one.instance.offset)):
        row, last = one.instance, found[-1] if found else None
        end = row.offset + row.length
        beside = last and (last.bucket, last.key, last.end) == (row.bucket, row.key, row.offset)
        if last and beside and end - last.begin <= RANGE_BYTES:
            last.end = end
            last.located.append(one)
        else:
            found.append(Span(row.bucket, row.key, row.offset, end, [one]))
    return found


async def read(storage: Storage, bucket: Bucket, key: str, begin: int, end: int) -> bytes:
    """Read a range. Raises ServiceUnavailable, and NothingThere where the study was erased meanwhile."""
    try:
        return await storage.get(bucket, key, part=(begin, end - begin))
    except StorageUnavailable as error:
        raise ServiceUnavailable from error
    except ObjectMissing as error:
        raise NothingThere from error


async def read_spans(storage: Storage, wanted: Sequence[Span]) -> AsyncGenerator[tuple[Span, bytes]]:
    """Yield each range with its bytes; those to come are on their way. Who stops reading stops that, too."""
    waiting = deque(wanted)
    coming: deque[tuple[Span, asyncio.Task[bytes]]] = deque()
    try:
        while waiting or coming:
            while waiting and len(coming) <= AHEAD:
                one = waiting.popleft()
                coming.append((one, asyncio.create_task(read(storage, one.bucket, one.key, one.begin, one.end))))
            span, task = coming[0]
            data = await task
            coming.popleft()
            yield span, data
    finally:
        for _, task in coming:
            task.cancel()
        await asyncio.gather(*(task for _, task in coming), return_exceptions=True)


async def read_headers(storage: Storage, located: Sequence[Located]) -> list[bytes]:
    """Return the data set without its image of each instance: one read a pack (ADR 0025)."""
    packs: dict[tuple[Bucket, str], tuple[int, int]] = {}
    for one in located:
        row = one.instance
        begin, end = packs.get((row.bucket, row.key), (row.header_offset, 0))
        packs[row.bucket, row.key] = (min(begin, row.header_offset), max(end, row.header_offset + row.header_length))
    places = list(packs.items())
    read_all = (read(storage, bucket, key, begin, end) for (bucket, key), (begin, end) in places)
    contents = dict(zip(packs, await asyncio.gather(*read_all), strict=True))
    found = []
    for one in located:
        row = one.instance
        at = row.header_offset - packs[row.bucket, row.key][0]
        found.append(contents[row.bucket, row.key][at : at + row.header_length])
    return found
