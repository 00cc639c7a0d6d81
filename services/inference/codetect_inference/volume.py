"""Prepared volumes as ingest writes them: one Zarr v3 array `hu` (slices, rows, columns), int16 HU, in a zip."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.errors import BaseZarrError
from zarr.storage import MemoryStore, ZipStore

ARRAY = "hu"


class VolumeRefused(Exception):
    """The prepared volume isn't what its manifest describes."""


class Volume:
    """Slices of one series, decoded one at a time, so that memory stays flat whatever the series' length."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self.slices, self.rows, self.columns = array.shape

    def __len__(self) -> int:
        return self.slices

    def slice(self, index: int) -> NDArray[np.int16]:
        """One slice in HU, (rows, columns); costs about a millisecond. Raises IndexError."""
        return np.asarray(self._array[index], np.int16)


def open_volume(source: bytes | Path, sha256: str) -> Volume:
    """Open volume.zarr.zip and check its hash. Raises VolumeRefused."""
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise VolumeRefused("the volume's SHA-256 isn't the one its manifest gives")
    try:
        store = _memory(source) if isinstance(source, bytes) else ZipStore(source, mode="r")
        array = zarr.open_group(store, mode="r")[ARRAY]
    except (KeyError, ValueError, zipfile.BadZipFile, BaseZarrError) as error:
        raise VolumeRefused(f"the volume can't be opened: {error}") from error
    if not isinstance(array, zarr.Array) or array.ndim != 3 or array.dtype != np.dtype(np.int16):
        raise VolumeRefused(f"the volume needs an array {ARRAY} of int16 with three dimensions")
    return Volume(array)


def _memory(content: bytes) -> MemoryStore:
    """The zip's entries as a store; Zarr's own ZipStore takes paths alone."""
    make = default_buffer_prototype().buffer.from_bytes
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return MemoryStore({name: make(archive.read(name)) for name in archive.namelist()}, read_only=True)
