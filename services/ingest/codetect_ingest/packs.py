"""Packs: a series' clean files one after the other in one object, their data sets once more behind them.

A few objects a series instead of one a slice: any instance is one range of one, and all data sets without images of a
pack are one small range (ADR 0025).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codetect_ingest.dicom.identity import Attributes, Identity
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.dicom.report import Report

PACK_BYTES = 4 * 2**20  # what an object store keeps in one piece; larger objects cost it half as much again a byte


@dataclass(frozen=True)
class Found:
    """A slice that was read; its clean file and its compressed HU wait in the scratch folder."""

    number: int
    frame: int
    instance: Instance
    identity: Identity
    attributes: Attributes
    report: Report
    header: tuple[int, int]
    clean: Path
    chunk: Path


@dataclass(frozen=True)
class Kept:
    """A file that isn't analysed and stays as it came; sealed, it waits in the scratch folder."""

    number: int
    why: Refused
    other: Other
    sealed: Path


@dataclass(frozen=True)
class Place:
    """Where an instance lies inside which pack: its file, and its data set without the image; bytes."""

    pack: int
    offset: int
    length: int
    header_offset: int
    header_length: int


def write_packs(folder: Path, slices: Sequence[Found]) -> tuple[list[Path], list[Place]]:
    """Write the clean files of these slices as packs; return them, and the place of each slice."""
    paths: list[Path] = []
    places: list[Place] = []
    for number, group in enumerate(_groups(slices, [one.clean for one in slices])):
        paths.append(folder / f"{group[0].clean.stem}.pack")
        places += _write_pack(paths[-1], number, group)
    return paths, places


def write_hu_packs(folder: Path, slices: Sequence[Found]) -> tuple[list[Path], list[tuple[int, int, int]]]:
    """Write the compressed HU of these slices likewise; places are pack, offset and length."""
    paths: list[Path] = []
    places: list[tuple[int, int, int]] = []
    for number, group in enumerate(_groups(slices, [one.chunk for one in slices])):
        paths.append(folder / f"{group[0].clean.stem}.hu")
        with paths[-1].open("wb") as pack:
            for one in group:
                begin = pack.tell()
                pack.write(one.chunk.read_bytes())
                places.append((number, begin, pack.tell() - begin))
    return paths, places


def _write_pack(path: Path, number: int, slices: Sequence[Found]) -> list[Place]:
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
    return [Place(number, offset, length, tail + header, size) for offset, length, header, size in places]


def _groups(slices: Sequence[Found], files: Sequence[Path]) -> Iterator[list[Found]]:
    """Yield slices in groups whose files are no larger together than a pack, or one alone."""
    group: list[Found] = []
    size = 0
    for one, file in zip(slices, files, strict=True):
        more = file.stat().st_size
        if group and size + more > PACK_BYTES:
            yield group
            group, size = [], 0
        group.append(one)
        size += more
    if group:
        yield group
