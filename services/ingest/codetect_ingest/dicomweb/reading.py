"""Instances out of the object store."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from codetect_shared.storage import Bucket

from codetect_ingest.dicomweb.blocks import Block, Blocks
from codetect_ingest.dicomweb.finding import Located

AHEAD = 2


async def read_file(blocks: Blocks, one: Located) -> bytes:
    """Read an instance as it is kept. Raises ServiceUnavailable, NothingThere."""
    row = one.instance
    return await blocks.read(row.bucket, row.key, row.offset, row.offset + row.length)


async def read_files(blocks: Blocks, located: Sequence[Located]) -> AsyncGenerator[tuple[Located, list[memoryview]]]:
    """Yield instances as they lie, each with its bytes in pieces; the next blocks are on their way."""
    ordered = sorted(located, key=lambda one: (one.instance.bucket, one.instance.key, one.instance.offset))
    wanted: dict[Block, None] = {}
    upto = []
    for one in ordered:
        row = one.instance
        wanted |= dict.fromkeys(blocks.of(row.bucket, row.key, row.offset, row.offset + row.length))
        upto.append(len(wanted))
    listed, before = list(wanted), 0
    for one, end in zip(ordered, upto, strict=True):
        for block in listed[end : end + AHEAD] if end != before else ():
            blocks.expect(block)
        before = end
        place = (one.instance.bucket, one.instance.key, one.instance.offset, one.instance.offset + one.instance.length)
        yield one, blocks.at_hand(*place) or await blocks.lend(*place)


async def read_headers(blocks: Blocks, located: Sequence[Located]) -> list[bytes]:
    """Return the data set without its image of each instance: one read a pack (ADR 0025)."""
    packs: dict[tuple[Bucket, str], tuple[int, int]] = {}
    for one in located:
        row = one.instance
        begin, end = packs.get((row.bucket, row.key), (row.header_offset, 0))
        packs[row.bucket, row.key] = (min(begin, row.header_offset), max(end, row.header_offset + row.header_length))
    reads = (blocks.read(bucket, key, begin, end) for (bucket, key), (begin, end) in packs.items())
    contents = dict(zip(packs, await asyncio.gather(*reads), strict=True))
    found = []
    for one in located:
        row = one.instance
        at = row.header_offset - packs[row.bucket, row.key][0]
        found.append(contents[row.bucket, row.key][at : at + row.header_length])
    return found
