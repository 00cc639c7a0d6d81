"""How rows hold together: a hash that anybody can check, a MAC that only who has the facility's key can make."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import rfc8785
from codetect_shared.sealing import seal, unseal
from cryptography.exceptions import InvalidTag

GENESIS = bytes(32)
KEY_BYTES = 32


class KeyLost(Exception):
    """A chain's key can't be opened: it was altered, or was sealed under another master key."""


def new_key(master_key: bytes, facility_id: UUID) -> bytes:
    """A facility's own random key, sealed."""
    return seal(master_key, os.urandom(KEY_BYTES), _owner(facility_id))


def open_key(master_key: bytes, facility_id: UUID, sealed: bytes) -> bytes:
    """The key itself. Raises KeyLost."""
    try:
        return unseal(master_key, sealed, _owner(facility_id))
    except (InvalidTag, ValueError) as error:
        raise KeyLost from error


def _owner(facility_id: UUID) -> str:
    return f"audit-chain/{facility_id}"


def link(facility_id: UUID, number: int, event_id: UUID, record: dict[str, Any], previous: bytes) -> bytes:
    """A row's hash: SHA-256 of its canonical JSON (RFC 8785), the hash of the row before within it."""
    row: dict[str, Any] = {
        "facility": str(facility_id),
        "number": number,
        "event": str(event_id),
        "record": record,
        "previous": previous.hex(),
    }
    return hashlib.sha256(rfc8785.dumps(row)).digest()


def mac_of_row(key: bytes, row_hash: bytes) -> bytes:
    """Proof that a row was written by who has the key."""
    return hmac.digest(key, b"row" + row_hash, "sha256")


@dataclass
class Head:
    """The end of a chain, and its start: the row before the first that is still kept."""

    facility_id: UUID
    number: int = 0
    hash: bytes = GENESIS
    start: int = 0
    start_hash: bytes = GENESIS

    def mac(self, key: bytes) -> bytes:
        """Proof that the chain ended and started there, as who has the key says."""
        said: dict[str, Any] = {
            "facility": str(self.facility_id),
            "number": self.number,
            "hash": self.hash.hex(),
            "start": self.start,
            "start_hash": self.start_hash.hex(),
        }
        return hmac.digest(key, b"head" + rfc8785.dumps(said), "sha256")
