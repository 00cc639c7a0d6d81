"""Packs: a series' clean files one after the other in one object, their data sets once more behind them.

A few objects a series instead of one a slice: any instance is one range of one, and all data sets without images of a
pack are one small range (ADR 0025).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from codetect_ingest.dicom.identity import Attributes, Identity
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.dicom.report import Report

PACK_BYTES = 4 * 2**20  # what an object store keeps in one piece; larger objects cost it half as much again a byte


Slot = tuple[int, int, str]  # number of the file, of the frame, and SHA-256 of the clean file


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

    @property
    def slot(self) -> Slot:
        """What it is known by among all that was read of an upload."""
        return self.number, self.frame, self.instance.sha256


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

    key: str
    offset: int
    length: int
    header_offset: int
    header_length: int


@dataclass(frozen=True)
class Pack:
    """A pack that lies in the store already, below a study's prefix."""

    key: str
    study_id: UUID
    places: dict[Slot, Place]


def packed_before(packs: Iterable[Pack], study_id: UUID, slices: Iterable[Found]) -> dict[Slot, Place]:
    """Return the places of slices in packs of their study that hold nothing else: what isn't needed must not stay."""
    needed = {one.slot for one in slices}
    useful = (pack.places for pack in packs if pack.study_id == study_id and pack.places.keys() <= needed)
    return {slot: place for places in useful for slot, place in places.items()}


Group = tuple[list[Found], str]  # what goes into a pack, and its key


def packs_of(slices: Sequence[Found], keys: Iterator[str]) -> Iterator[Group]:
    """Yield slices in groups that fill a pack, each with its key."""
    return zip(_groups(slices, [one.clean for one in slices]), keys, strict=False)


def write_packs(folder: Path, groups: Iterable[Group]) -> tuple[dict[str, Path], list[Place]]:
    """Write the clean files of each group as a pack; return these by their keys, and the place of each slice."""
    paths: dict[str, Path] = {}
    places: list[Place] = []
    for group, key in groups:
        paths[key] = folder / f"{group[0].clean.stem}.pack"
        places += _write_pack(paths[key], key, group)
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


def _write_pack(path: Path, key: str, slices: Sequence[Found]) -> list[Place]:
    headers = bytearray()
    places = []
    with path.open("wb") as pack:
        for one in slices:
            data = one.clean.read_bytes()
            if len(data) != one.instance.bytes:
                raise OSError(f"{one.clean.name} isn't as it was written")
            begin, end = one.header
            places.append((pack.tell(), len(data), len(headers), end - begin))
            headers += data[begin:end]
            pack.write(data)
        tail = pack.tell()
        pack.write(headers)
    return [Place(key, offset, length, tail + header, size) for offset, length, header, size in places]


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
