"""Packs: a series' clean files one after the other in one object, their data sets once more behind them.

One object a series instead of one a slice: a third of the time to write, a series is one read, any instance is one
range of it, and all data sets without images are one small range (ADR 0025).
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codetect_ingest.dicom.identity import Attributes, Identity
from codetect_ingest.dicom.instance import Instance


@dataclass(frozen=True)
class Found:
    """A slice that was read; its clean file and its compressed HU wait in the scratch folder."""

    number: int
    frame: int
    instance: Instance
    identity: Identity
    attributes: Attributes
    header: tuple[int, int]
    clean: Path
    chunk: Path


@dataclass(frozen=True)
class Place:
    """Where an instance lies inside a pack: its file, and its data set without the image; bytes."""

    offset: int
    length: int
    header_offset: int
    header_length: int


def write_pack(path: Path, slices: Sequence[Found]) -> list[Place]:
    """Write the clean files of these slices as one pack; return the place of each."""
    headers = bytearray()
    places = []
    with path.open("wb") as pack:
        for one in slices:
            data = one.clean.read_bytes()
            begin, end = one.header
            places.append((pack.tell(), len(data), len(headers), end - begin))
            headers += data[begin:end]
            pack.write(data)
        tail = pack.tell()
        pack.write(headers)
    return [Place(offset, length, tail + header, size) for offset, length, header, size in places]


def write_hu_pack(path: Path, slices: Sequence[Found]) -> list[tuple[int, int]]:
    """Write the compressed HU of these slices one after the other; return offset and length of each."""
    places = []
    with path.open("wb") as pack:
        for one in slices:
            begin = pack.tell()
            with one.chunk.open("rb") as chunk:
                shutil.copyfileobj(chunk, pack)
            places.append((begin, pack.tell() - begin))
    return places
