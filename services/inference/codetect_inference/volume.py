"""Prepared volumes as ingest writes them: one Zarr v3 array `hu` (slices, rows, columns), int16 HU, in a zip.

Zarr reads what the array says of itself; its chunks, one a slice, are decoded here: Zarr's own way through an event
loop and threads takes as long again as the decoding, while the model waits for the processor.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numcodecs.blosc import Blosc  # type: ignore[import-untyped]
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec
from zarr.codecs.bytes import Endian
from zarr.core.buffer import default_buffer_prototype
from zarr.errors import BaseZarrError
from zarr.storage import MemoryStore

ARRAY = "hu"
DOCUMENTS = ("zarr.json", f"{ARRAY}/zarr.json")
LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of name and extra field (APPNOTE.TXT 4.3.7)


class VolumeRefused(Exception):
    """The prepared volume isn't what its manifest describes."""


class Volume:
    """Slices of one series, decoded one at a time, so that memory stays flat whatever the series' length."""

    def __init__(self, entries: Mapping[str, bytes | memoryview]) -> None:
        """Take the zip's entries by name: the two documents, and those chunks that will be asked for."""
        array = _described(entries)
        self._entries, self._air = entries, int(array.fill_value)
        self.slices, self.rows, self.columns = array.shape

    def __len__(self) -> int:
        return self.slices

    def slice(self, index: int) -> NDArray[np.int16]:
        """One slice in HU, (rows, columns); costs about a millisecond. Raises IndexError, VolumeRefused."""
        if not 0 <= index < self.slices:
            raise IndexError(index)
        hu = np.empty((self.rows, self.columns), "<i2")
        chunk = self._entries.get(chunk_name(index))
        if chunk is None:  # as Zarr has it: a chunk that isn't there is all fill value
            hu[:] = self._air
            return hu
        try:
            Blosc().decode(chunk, out=hu)
        except (RuntimeError, ValueError) as error:
            raise VolumeRefused(f"slice {index} can't be decoded: {error}") from error
        return hu


def chunk_name(index: int) -> str:
    """The zip's entry that holds a slice."""
    return f"{ARRAY}/c/{index}/0/0"


def open_volume(content: bytes, sha256: str) -> Volume:
    """Open volume.zarr.zip and check its hash. Raises VolumeRefused."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise VolumeRefused("the volume's SHA-256 isn't the one its manifest gives")
    try:
        return Volume(_entries(content))
    except (KeyError, ValueError, zipfile.BadZipFile, BaseZarrError) as error:
        raise VolumeRefused(f"the volume can't be opened: {error}") from error


def content_begins(zipped: bytes, at: int = 0) -> int:
    """Where an entry's content begins, behind its local header at `at`."""
    name_bytes, extra_bytes = LOCAL_HEADER.unpack_from(zipped, at)
    return int(at + LOCAL_HEADER.size + name_bytes + extra_bytes)


def _entries(content: bytes) -> dict[str, bytes | memoryview]:
    """The zip's entries; stored ones, as ingest writes them, aren't copied: the hash says that they are whole."""
    found: dict[str, bytes | memoryview] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for info in archive.infolist():
            if info.compress_type == zipfile.ZIP_STORED:
                begin = content_begins(content, info.header_offset)
                found[info.filename] = memoryview(content)[begin : begin + info.file_size]
            else:
                found[info.filename] = archive.read(info)
    return found


def _described(entries: Mapping[str, bytes | memoryview]) -> zarr.Array[Any]:
    """The array as its documents have it. Raises KeyError, VolumeRefused, and what Zarr raises."""
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({name: make(bytes(entries[name])) for name in DOCUMENTS}, read_only=True)
    array = zarr.open_group(store, mode="r")[ARRAY]
    if not isinstance(array, zarr.Array) or array.ndim != 3 or array.dtype != np.dtype(np.int16):
        raise VolumeRefused(f"the volume needs an array {ARRAY} of int16 with three dimensions")
    match array.metadata.codecs:  # type: ignore[union-attr]
        case [BytesCodec(endian=Endian.little), BloscCodec()] if array.chunks == (1, *array.shape[1:]):
            return array
    raise VolumeRefused("the volume needs one chunk a slice, little endian, compressed by Blosc")
