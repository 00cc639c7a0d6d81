"""What every kind of source is, and those of images: folders, and split files as COVID-CT's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling
from pydantic import Field, model_validator

from codetect_training.datasets.alike import LOOK
from codetect_training.datasets.strict import DataPath, Split, Strict, Text
from codetect_training.datasets.tables import PatientInName, PatientInTable, Patients, PatientUnknown
from codetect_training.grey import SUFFIXES, open_grey


@dataclass(frozen=True)
class Unit:
    """What is labelled and split as one: an image, or a series with all its slices. `split` None: to be made."""

    key: str
    files: tuple[Path, ...]
    label: str | None
    split: Split | None
    patient: str | None


@dataclass(frozen=True)
class Slice:
    """One slice of a unit: its name, pixels (side, side) and what it is compared by, (64, 64) float32 in 0..1."""

    name: str
    pixels: NDArray[np.uint8] | NDArray[np.int16]
    look: NDArray[np.float32]


@dataclass
class Listing:
    """The units of a source in their order, and what was passed over with the reason."""

    units: list[Unit] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


class Source(Protocol):
    """A kind of source. `hu`: its pixels are HU (int16); otherwise grey (uint8)."""

    terms: Terms
    patients: PatientInName | PatientInTable | PatientUnknown
    turns: int

    @property
    def hu(self) -> bool:
        """Whether the pixels are HU."""

    @property
    def shares(self) -> Shares | None:
        """How its splits are to be made, where they aren't given."""

    @property
    def words(self) -> set[str]:
        """The labels it uses."""

    def files(self, root: Path) -> list[Path]:
        """Every file that has a say in what the source holds; cheap, nothing is opened but lists of files."""

    def units(self, root: Path) -> Listing:
        """What is in it, without decoding pixels."""

    def read(self, unit: Unit, side: int) -> Iterator[Slice]:
        """Decode the slices of one unit."""


class Terms(Strict):
    """What the data may be used for, and whom to cite."""

    licence: Text
    use: Text
    cite: Text


class Whole(Strict):
    """All of it belongs to one split."""

    by: Literal["whole"]
    split: Split


class GivenFolders(Strict):
    """The publishers split it: one folder per split."""

    by: Literal["folders"]
    folders: dict[Split, DataPath] = Field(min_length=1)


class Shares(Strict):
    """We split it, whole patients or clusters at a time, about in these shares of each label."""

    by: Literal["shares"]
    shares: dict[Split, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1)
    seed: int = 2020

    @model_validator(mode="after")
    def whole(self) -> Shares:
        """Shares must leave nothing over."""
        if abs(sum(self.shares.values()) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1, these to {sum(self.shares.values()):g}")
        return self


class Described(Strict):
    """What is said of a source of any kind. `turns`: how often the sampler takes it while it takes others once."""

    terms: Terms
    patients: Patients
    turns: int = Field(default=1, ge=1, le=16)


class ImageFolders(Described):
    """Grey images in folders; `labels`: sub-folder -> label, or none for one flat folder of unlabelled images."""

    kind: Literal["folders"]
    folder: DataPath
    labels: dict[str, Text] | None = None
    split: Annotated[Whole | GivenFolders | Shares, Field(discriminator="by")]
    hu: Literal[False] = Field(default=False, exclude=True)

    @property
    def shares(self) -> Shares | None:
        """How splits are to be made."""
        return self.split if isinstance(self.split, Shares) else None

    @property
    def words(self) -> set[str]:
        """The labels it uses."""
        return set((self.labels or {}).values())

    def files(self, root: Path) -> list[Path]:
        """The images and the tables."""
        return [path for path, *_ in self.images(root)] + tables(self, root)

    def images(self, root: Path) -> Iterator[tuple[Path, str | None, Split | None]]:
        """Images by split, sub-folder and name."""
        parts: list[tuple[Path, Split | None]]
        if isinstance(self.split, GivenFolders):
            parts = [(root / self.folder / sub, split) for split, sub in self.split.folders.items()]
        else:
            parts = [(root / self.folder, self.split.split if isinstance(self.split, Whole) else None)]
        for part, split in parts:
            labelled = (
                [(part / sub, self.labels[sub]) for sub in sorted(self.labels)] if self.labels else [(part, None)]
            )
            for folder, label in labelled:
                found = sorted(path for path in listed(folder) if path.suffix.lower() in SUFFIXES)
                if not found:
                    raise SystemExit(f"{folder} holds no images ({', '.join(SUFFIXES)}): mend the description")
                yield from ((path, label, split) for path in found)

    def units(self, root: Path) -> Listing:
        """One unit per image."""
        return Listing([image_unit(self, root, *image) for image in self.images(root)])

    def read(self, unit: Unit, side: int) -> Iterator[Slice]:
        """The image, squeezed to a square as the service's slices are."""
        yield read_grey(unit, side)


class ImageList(Strict):
    """A text file with one image name a line, and the folder that holds them."""

    list: DataPath
    images: DataPath


class SplitFiles(Described):
    """Grey images as COVID-CT publishes them: for each split and label a text file of names."""

    kind: Literal["split_files"]
    lists: dict[Split, dict[Text, ImageList]] = Field(min_length=1)
    hu: Literal[False] = Field(default=False, exclude=True)
    shares: None = Field(default=None, exclude=True)

    @property
    def words(self) -> set[str]:
        """The labels it uses."""
        return {label for by_label in self.lists.values() for label in by_label}

    def files(self, root: Path) -> list[Path]:
        """The images, the lists and the tables."""
        lists = [root / one.list for by_label in self.lists.values() for one in by_label.values()]
        return [path for path, *_ in self.images(root)] + lists + tables(self, root)

    def images(self, root: Path) -> Iterator[tuple[Path, str, Split]]:
        """Images in the lists' order."""
        for split, by_label in self.lists.items():
            for label, one in by_label.items():
                if not (root / one.list).is_file():
                    raise SystemExit(f"{root / one.list} isn't there: mend `lists` or CODETECT_DATA")
                for name in filter(None, map(str.strip, (root / one.list).read_text().splitlines())):
                    path = root / one.images / name
                    if Path(name).name != name or not path.is_file():
                        raise SystemExit(f"{one.list} names {name!r}, which isn't an image in {root / one.images}")
                    yield path, label, split

    def units(self, root: Path) -> Listing:
        """One unit per line."""
        return Listing([image_unit(self, root, *image) for image in self.images(root)])

    def read(self, unit: Unit, side: int) -> Iterator[Slice]:
        """The image, squeezed to a square as the service's slices are."""
        yield read_grey(unit, side)


def image_unit(source: Described, root: Path, path: Path, label: str | None, split: Split | None) -> Unit:
    """An image as a unit."""
    names = {"file": path.name, "path": path.relative_to(root).as_posix()}
    return Unit(names["path"], (path,), label, split, source.patients.find(root, names))


def read_grey(unit: Unit, side: int) -> Slice:
    """Decode one grey image."""
    path = unit.files[0]
    grey = open_grey(path)
    small = grey.resize((LOOK, LOOK), Resampling.BILINEAR)
    pixels = grey.resize((side, side), Resampling.BILINEAR)
    return Slice(path.name, np.asarray(pixels, np.uint8), np.asarray(small, np.float32) / np.float32(255))


def listed(folder: Path) -> list[Path]:
    """What is in a folder, or what to do when it isn't there."""
    if not folder.is_dir():
        raise SystemExit(
            f"{folder} isn't there: set CODETECT_DATA to the folder that holds the data, or mend the description"
        )
    return list(folder.iterdir())


def tables(source: Described, root: Path) -> list[Path]:
    """The tables that say whose the images are."""
    return [root / source.patients.table] if isinstance(source.patients, PatientInTable) else []
