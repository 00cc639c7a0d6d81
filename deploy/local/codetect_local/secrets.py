"""Passwords and keys of the local stack: made once, kept in the state folder, readable by its owner alone."""

import base64
import fcntl
import json
import os
import secrets
from pathlib import Path

from codetect_local.settings import private_file

DATABASES = ("gateway", "auth", "ingest", "inference", "analytics")
ROLES = ("app", "system", "owner")


def make() -> dict[str, str]:
    """A new set."""
    names = [
        "postgres",
        "rabbitmq",
        "orthanc",
        "storage_secret_key",
        *(f"{name}_{role}" for name in DATABASES for role in ROLES),
    ]
    return {
        **{name: secrets.token_urlsafe(24) for name in names},
        "storage_access_key": secrets.token_hex(10),
        "storage_sse_key": secrets.token_hex(32),
        "storage_jwt_key": secrets.token_hex(32),
        "master_key": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def load(state: Path) -> dict[str, str]:
    """The secrets of this state folder; what a newer version needs besides is added, by one process at a time."""
    path = state / "secrets.json"
    folder = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        wanted = make()
        if wanted.keys() - known.keys():
            known = wanted | known
            private_file(path, json.dumps(known, indent=1))
    finally:
        os.close(folder)
    return known
