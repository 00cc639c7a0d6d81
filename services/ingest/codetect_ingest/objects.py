"""Names of objects and scratch files, and ids that a second try derives again: what is written twice is the same."""

import hashlib
import re
from pathlib import Path
from uuid import UUID

NUMBER = re.compile(r"[0-9]{6}")


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


def clean_key(facility_id: UUID, upload_id: UUID, number: int) -> str:
    """Return the key of the clean file made of a posted one."""
    return f"{facility_id}/{upload_id}/instances/{number:06}.dcm"


def volume_key(facility_id: UUID, upload_id: UUID, series_id: UUID) -> str:
    """Return the key of a series' prepared volume."""
    return f"{facility_id}/{upload_id}/{series_id}/volume.zarr.zip"


def manifest_key(facility_id: UUID, upload_id: UUID, series_id: UUID) -> str:
    """Return the key of a series' manifest."""
    return f"{facility_id}/{upload_id}/{series_id}/manifest.json"


def chunk_path(scratch: Path, number: int) -> Path:
    """Return where a new slice's compressed HU wait for their volume."""
    return scratch / f"{number:06}.chunk"


def derived_id(upload_id: UUID, uid: str) -> UUID:
    """Return the id for what an upload is the first to bring: version 7, of the upload's time and a hash of the UID."""
    rest = int.from_bytes(hashlib.sha256(upload_id.bytes + uid.encode()).digest()[:10], "big")
    value = (upload_id.int >> 80 << 80) | rest
    return UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
