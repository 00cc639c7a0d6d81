"""Slices decoded once: one memory-mapped file per data set and side, and an index that says whether it is current."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from codetect_training.datasets.alike import Hashes, pack, perceptual_hash, unpack
from codetect_training.datasets.description import Description
from codetect_training.datasets.sources import Listing
from codetect_training.datasets.splits import Entry
from codetect_training.datasets.tables import patient_digest

CACHE = Path(".training/cache")
FORMAT = 2  # raise when slices are decoded otherwise


@dataclass(frozen=True)
class Cached:
    """What was found and decoded. `pixels`: (n, side, side) uint8 or, with any source in HU, int16."""

    entries: list[Entry]
    hashes: Hashes
    skipped: dict[str, dict[str, int]]
    pixels: NDArray[Any]


def open_cache(description: Description, root: Path, side: int, folder: Path = CACHE) -> Cached:
    """Map the current cache, or decode everything first. Whoever comes second waits, and finds it done."""
    if not 8 <= side <= 1024:
        raise SystemExit(f"slices of {side} pixels: choose a side from 8 to 1024")
    want = digest(description, root)
    index = folder / description.name / f"{side}.json"
    if not current(index, want):
        index.parent.mkdir(parents=True, exist_ok=True)
        with locked(index.with_suffix(".lock")):
            if not current(index, want):
                build(description, root, side, index, want)
    return load(index, side)


def digest(description: Description, root: Path) -> str:
    """What the cache hangs on: the description, and every file's name, size and time."""
    found = hashlib.sha256(f"{FORMAT}\n{description.model_dump_json()}".encode())
    for name, source in description.sources.items():
        for path in source.files(root):
            if not path.exists():
                raise SystemExit(f"{path} isn't there: set CODETECT_DATA to the folder that holds the data")
            stat = path.stat()
            found.update(f"\n{name}\t{path.relative_to(root)}\t{stat.st_size}\t{stat.st_mtime_ns}".encode())
    return found.hexdigest()


def pixel_file(index: Path, want: str) -> Path:
    """The pixels that belong to an index."""
    return index.with_name(f"{index.stem}-{want[:16]}.raw")


def current(index: Path, want: str) -> bool:
    """Whether index and pixels are those of this description and these files."""
    try:
        return bool(json.loads(index.read_text())["digest"] == want) and pixel_file(index, want).exists()
    except (OSError, ValueError, KeyError, TypeError):
        return False


def build(description: Description, root: Path, side: int, index: Path, want: str) -> None:
    """Decode everything. The pixels get their name first, the index last: a kill leaves the old cache or none."""
    entries: list[Entry] = []
    hashes: list[str] = []
    skipped: dict[str, Counter[str]] = {}
    kind = np.dtype(np.int16 if any(source.hu for source in description.sources.values()) else np.uint8)
    pixels = pixel_file(index, want)
    with pixels.with_suffix(".tmp").open("wb") as out:
        for name, source in description.sources.items():
            listing: Listing = source.units(root)
            skipped[name] = listing.skipped
            if not listing.units:
                why = "; ".join(f"{count} files: {reason}" for reason, count in listing.skipped.items())
                raise SystemExit(f"source {name} holds nothing to use ({why or 'no files'}): look at its folder")
            for unit in listing.units:
                first = len(hashes)
                for one in source.read(unit, side):
                    out.write(one.pixels.astype(kind, copy=False).tobytes())
                    hashes.append(pack(perceptual_hash(one.look)))
                if len(hashes) == first:
                    listing.skipped["no slice shows lung"] += 1
                    continue
                patient = patient_digest(source.patients.collection or name, unit.patient)
                entries.append(Entry(name, unit.key, unit.label, unit.split, patient, first, len(hashes) - first))
        flush(out)
    if not entries:
        raise SystemExit(f"{description.name}: no slice shows lung; with `slices: every` all are taken")
    pixels.with_suffix(".tmp").rename(pixels)
    units = [asdict(entry) for entry in entries]
    content = {"digest": want, "dtype": kind.name, "skipped": skipped, "hashes": hashes, "units": units}
    with index.with_suffix(".tmp").open("w") as text:
        json.dump(content, text)
        flush(text)
    index.with_suffix(".tmp").rename(index)
    for old in index.parent.glob(f"{index.stem}-*"):
        if old != pixels:
            old.unlink()


def load(index: Path, side: int) -> Cached:
    """Map what `build` left."""
    content: dict[str, Any] = json.loads(index.read_text())
    shape = (len(content["hashes"]), side, side)
    pixels = np.memmap(pixel_file(index, content["digest"]), np.dtype(content["dtype"]), "r", shape=shape)
    entries = [Entry(**entry) for entry in content["units"]]
    return Cached(entries, unpack(content["hashes"]), content["skipped"], pixels)


def flush(out: IO[Any]) -> None:
    """Onto the disk, before the name says that it is there."""
    out.flush()
    os.fsync(out.fileno())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that held it."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
