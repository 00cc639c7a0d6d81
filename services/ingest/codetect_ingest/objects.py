"""Names of objects and scratch files, and ids that a second try derives again.

What belongs to a study lies below its own prefix, so that erasing the prefix erases the study. What an attempt writes
has the attempt's fence in its name: one that was taken for dead and goes on can't touch what its successor wrote.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import UUID

from codetect_ingest.keys import FIRST

NUMBER = re.compile(r"[0-9]{6}")
SEALED = ".sealed"
KEPT = re.compile(r"/[0-9]{6}\.sealed(\.[0-9]+)?$")


def raw_prefix(facility_id: UUID, upload_id: UUID) -> str:
    """Return the prefix below which an upload's files are posted."""
    return f"{facility_id}/{upload_id}/"


def raw_key(facility_id: UUID, upload_id: UUID, number: int) -> str:
    """Return the key of a posted file."""
    return f"{raw_prefix(facility_id, upload_id)}{number:06}"


def number_of(key: str) -> int | None:
    """Return a posted file's number; None for a key that isn't ours to read."""
    *place, name = key.split("/")
    return int(name) if len(place) == 2 and NUMBER.fullmatch(name) else None


def study_prefix(facility_id: UUID, study_id: UUID) -> str:
    """Return the prefix below which everything of a study lies."""
    return f"{facility_id}/{study_id}/"


def attempt_prefix(facility_id: UUID, study_id: UUID, job_id: UUID, fence: int) -> str:
    """Return the prefix of what one attempt at a job (an upload, or an assembly) writes into a study."""
    return f"{study_prefix(facility_id, study_id)}{job_id}.{fence}/"


def early_prefix(facility_id: UUID, study_id: UUID, upload_id: UUID, token: str) -> str:
    """Return the prefix of what is written into a study before its upload is claimed; `token` is its writer's own."""
    return f"{study_prefix(facility_id, study_id)}{upload_id}.early-{token}/"


def attempt_of(key: str) -> tuple[str, int]:
    """Return job and fence of an object below a study's prefix; -1 where it has none, or was written early."""
    job, _, fence = key.split("/")[2].partition(".")
    return job, int(fence) if fence.isdigit() else -1


def pack_keys(prefix: str, series_id: UUID, numbers: Iterable[int] | None = None) -> Iterator[str]:
    """Yield the keys of packs of a series' clean files below an attempt's prefix, one after the other."""
    return (f"{prefix}{series_id}/{number:04}.pack" for number in numbers or itertools.count())


def hu_name(series_id: UUID, number: int) -> str:
    """Return the name of a pack of compressed slices that wait for their volume, within an attempt's prefix."""
    return f"{series_id}/{number:04}.hu"


def kept_name(series_id: UUID, number: int, generation: int) -> str:
    """Return the name of a file kept sealed by this generation of the facility's key, within an attempt's prefix."""
    return sealed_by(f"{series_id}/{number:06}{SEALED}", generation)


def sealed_by(key: str, generation: int) -> str:
    """Return the key of a kept file once this generation has sealed it; the first has no number, as ever."""
    name = key[: key.rindex(SEALED) + len(SEALED)]
    return name if generation == FIRST else f"{name}.{generation}"


def is_kept(key: str) -> bool:
    """Tell whether an object is a kept file, whichever generation sealed it."""
    return KEPT.search(key) is not None


def volume_name(series_id: UUID) -> str:
    """Return the name of a series' prepared volume within an attempt's prefix."""
    return f"{series_id}/volume.zarr.zip"


def manifest_name(series_id: UUID) -> str:
    """Return the name of a series' manifest within an attempt's prefix."""
    return f"{series_id}/manifest.json"


def clean_path(scratch: Path, number: int, frame: int) -> Path:
    """Return where a new slice's clean file waits for its pack."""
    return scratch / f"{number:06}-{frame:04}.dcm"


def chunk_path(scratch: Path, number: int, frame: int) -> Path:
    """Return where a new slice's compressed HU wait for their volume."""
    return scratch / f"{number:06}-{frame:04}.chunk"


def derived_id(parent: UUID, uid: str) -> UUID:
    """Return the id of a part of `parent`: version 7, of the parent's time and a hash of the UID."""
    rest = int.from_bytes(hashlib.sha256(parent.bytes + uid.encode()).digest()[:10], "big")
    value = (parent.int >> 80 << 80) | rest
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
