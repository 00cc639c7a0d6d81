"""Objects read in blocks, the latest of which stay in memory: who looks at a series asks for its images one by one.

A block is reached by what a row says of its object, so who can't see the row can't reach it. It may outlast its object
until others take its place, but not the row.
"""

import asyncio
from collections import OrderedDict

from codetect_shared.problems import ServiceUnavailable
from codetect_shared.storage import Bucket, ObjectMissing, Storage, StorageUnavailable

from codetect_ingest.dicomweb.problems import NothingThere

BLOCK_BYTES = 4 * 2**20
Block = tuple[Bucket, str, int]


class Blocks:
    """The blocks of objects that were read last, `capacity` bytes of them; each is read once for all who wait."""

    def __init__(self, storage: Storage, capacity: int, block_bytes: int = BLOCK_BYTES) -> None:
        self._storage, self._bytes, self._most = storage, block_bytes, max(1, capacity // block_bytes)
        self._kept: OrderedDict[Block, asyncio.Task[bytes]] = OrderedDict()

    def of(self, bucket: Bucket, key: str, begin: int, end: int) -> list[Block]:
        """Return the blocks that a range lies in."""
        return [(bucket, key, number) for number in range(begin // self._bytes, (end - 1) // self._bytes + 1)]

    async def read(self, bucket: Bucket, key: str, begin: int, end: int) -> bytes:
        """Read a range. Raises ServiceUnavailable, and NothingThere where the study was erased meanwhile."""
        return b"".join(await self.lend(bucket, key, begin, end))

    async def lend(self, bucket: Bucket, key: str, begin: int, end: int) -> list[memoryview]:
        """Read a range, in pieces that aren't copied. Raises as `read` does."""
        blocks = self.of(bucket, key, begin, end)
        parts = [_within(block, await self._get(block), begin, end, self._bytes) for block in blocks]
        if sum(map(len, parts)) != end - begin:
            raise ServiceUnavailable
        return parts

    def at_hand(self, bucket: Bucket, key: str, begin: int, end: int) -> list[memoryview] | None:
        """Return a range in pieces that aren't copied, if all of it is in memory."""
        parts = []
        for block in self.of(bucket, key, begin, end):
            task = self._kept.get(block)
            if task is None or not task.done() or task.cancelled() or task.exception():
                return None
            self._kept.move_to_end(block)
            parts.append(_within(block, task.result(), begin, end, self._bytes))
        return parts if sum(map(len, parts)) == end - begin else None

    def expect(self, block: Block) -> None:
        """Begin to read a block that will be asked for."""
        self._task(block)

    async def _get(self, block: Block) -> bytes:
        try:
            return await asyncio.shield(self._task(block))
        except StorageUnavailable as error:
            raise ServiceUnavailable from error
        except ObjectMissing as error:
            raise NothingThere from error

    def _task(self, block: Block) -> asyncio.Task[bytes]:
        task = self._kept.get(block)
        if task is None:
            bucket, key, number = block
            part = (number * self._bytes, self._bytes)
            task = self._kept[block] = asyncio.create_task(self._storage.get(bucket, key, part=part))
            task.add_done_callback(lambda done: self._forget_failed(block, done))
        self._kept.move_to_end(block)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return task

    def _forget_failed(self, block: Block, done: asyncio.Task[bytes]) -> None:
        """What failed is tried anew by who asks next."""
        if (done.cancelled() or done.exception()) and self._kept.get(block) is done:
            del self._kept[block]


def _within(block: Block, data: bytes, begin: int, end: int, size: int) -> memoryview:
    """Return the part of a range that lies in this block."""
    start = block[2] * size
    return memoryview(data)[max(begin - start, 0) : end - start]
