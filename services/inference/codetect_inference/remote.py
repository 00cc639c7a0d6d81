"""What is read from the object store piece by piece: one slice of a prepared volume, the files of a bundle."""

import asyncio
import io
import zipfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

from codetect_shared.storage import Storage

from codetect_inference.bundle import MANIFEST, read_manifest
from codetect_inference.preprocess import HU
from codetect_inference.signature import SIGNATURE
from codetect_inference.volume import DOCUMENTS, Volume, chunk_name, content_begins

Read = Callable[[int, int], Awaitable[bytes]]  # offset, length -> bytes

ENTRY_BYTES = 160  # at most what the zip's directory takes for one slice, and room for more in a local header


async def read_slice(read: Read, size: int, slices: int, index: int) -> HU:
    """Slice `index` of a volume object of `size` bytes, in HU: its directory, then three entries side by side."""
    tail_length = min(size, ENTRY_BYTES * (slices + 8))
    tail_at = size - tail_length
    tail = await read(tail_at, tail_length)
    names = (*DOCUMENTS, chunk_name(index))
    with zipfile.ZipFile(io.BytesIO(tail)) as directory:
        # The directory's offsets count from the tail's beginning here, as if the rest had been cut off.
        infos = [directory.getinfo(name) for name in names]
    contents = await asyncio.gather(*(_entry(read, tail_at + info.header_offset, info, size) for info in infos))
    return await asyncio.to_thread(lambda: Volume(dict(zip(names, contents, strict=True))).slice(index))


async def _entry(read: Read, at: int, info: zipfile.ZipInfo, size: int) -> bytes:
    content = await read(at, min(size - at, info.compress_size + ENTRY_BYTES))
    begin = content_begins(content)
    packed = content[begin : begin + info.compress_size]
    return packed if info.compress_type == zipfile.ZIP_STORED else zlib.decompress(packed, -zlib.MAX_WBITS)


async def bundle_files(storage: Storage, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
    """A registered bundle's files, bundle.json first, one in memory at a time. Raises ObjectMissing, BundleRefused."""
    manifest = await storage.get("models", prefix + MANIFEST)
    yield MANIFEST, manifest
    for name in (SIGNATURE, *read_manifest(manifest).files):
        yield name, await storage.get("models", prefix + name)
