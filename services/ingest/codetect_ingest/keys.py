"""Each facility's own key, wrapped by the platform's master key, and what is derived from it.

It has generations (ADR 33): the newest seals, older ones open until what they sealed is sealed anew. What must be the
same for ever, the keys of pseudonyms and search terms, is of the first, and outlasts it in a row of its own.
"""

import functools
import hashlib
import hmac
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from codetect_shared.db import beside_others, opened
from codetect_shared.sealing import keys_of
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from pydantic_core import from_json
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.models import FacilityKeyRow
from codetect_ingest.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12


LASTING, FIRST = 0, 1  # generations: the row of what never changes, and the first that seals
MARK = b"CDk\x01"
MARKED_BYTES = len(MARK) + 4


class Use(bytes, Enum):
    """What is sealed; each has a key of its own."""

    TEXT = b"text"
    IDENTITIES = b"identities"
    FILES = b"files"


@dataclass(frozen=True)
class FacilityKey:
    """A facility's key; each use has a key of its own (HKDF, RFC 5869), so that one that leaks opens nothing else.

    `key` is that of the newest generation, `older` those that open what isn't sealed anew yet. `lasting` are the keys
    of pseudonyms and terms once they are no more derived from the first generation.
    """

    key: bytes = field(repr=False)
    generation: int = FIRST
    older: Mapping[int, bytes] = field(default_factory=dict, repr=False, hash=False)
    lasting: bytes | None = field(default=None, repr=False)

    @property
    def pseudonyms(self) -> bytes:
        """Return what pseudonyms are made with; the children that read files get this one."""
        return self.never_changing[:KEY_BYTES]

    @property
    def never_changing(self) -> bytes:
        """Return the keys of pseudonyms and of search terms: neither opens anything, nor leads back to a generation."""
        if self.lasting is not None:
            return self.lasting
        first = self.key if self.generation == FIRST else self.older[FIRST]
        return _derive(first, b"pseudonyms") + _derive(first, b"terms")

    def seal(self, text: str, owner: UUID | str) -> bytes:
        """Return mark, nonce and AES-256-GCM ciphertext, which open for the same owner only."""
        return self._sealed(Use.TEXT, text.encode(), owner)

    def unseal(self, sealed: bytes, owner: UUID | str) -> str:
        """Return what `seal` was given. Raises cryptography's InvalidTag for another owner or key."""
        return self._opened(Use.TEXT, sealed, owner).decode()

    def seal_identity(self, attributes: Mapping[str, Any], owner: UUID | str) -> bytes:
        """Seal one level of an identity (DICOM JSON)."""
        return self._sealed(Use.IDENTITIES, json.dumps(attributes, separators=(",", ":")).encode(), owner)

    def unseal_identity(self, sealed: bytes, owner: UUID | str) -> dict[str, Any]:
        """Return the attributes that `seal_identity` was given. Raises InvalidTag for another owner or key."""
        found: dict[str, Any] = from_json(self._opened(Use.IDENTITIES, sealed, owner))
        return found

    def seal_bytes(self, data: bytes, owner: UUID | str) -> bytes:
        """Seal a whole file."""
        return self._sealed(Use.FILES, data, owner)

    def unseal_bytes(self, sealed: bytes, owner: UUID | str) -> bytes:
        """Return what `seal_bytes` was given. Raises InvalidTag for another owner or key."""
        return self._opened(Use.FILES, sealed, owner)

    def reseal(self, use: Use, sealed: bytes, owner: UUID | str) -> bytes:
        """Seal with the newest generation what any had sealed. Raises InvalidTag for another owner or key."""
        return self._sealed(use, self._opened(use, sealed, owner), owner)

    def term(self, text: str) -> int:
        """Return the keyed hash of a search term, 64 bits: equal terms are found, none can be read back."""
        digest = hmac.digest(self.never_changing[KEY_BYTES:], text.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "big", signed=True)

    def _sealed(self, use: Use, data: bytes, owner: UUID | str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return mark_of(self.generation) + nonce + _cipher(self.key, use).encrypt(nonce, data, _name(owner))

    def _opened(self, use: Use, sealed: bytes, owner: UUID | str) -> bytes:
        for generation, rest in _readings(sealed):
            key = self.key if generation == self.generation else self.older.get(generation)
            if key is not None:
                try:
                    return _cipher(key, use).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _name(owner))
                except InvalidTag:
                    continue
        raise InvalidTag


def mark_of(generation: int) -> bytes:
    """Return what stands before what a generation sealed: nothing before the first's, as ever."""
    return b"" if generation == FIRST else MARK + generation.to_bytes(4, "big")


def _readings(sealed: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield which generation it is by its mark, and then the first: a nonce of that may look like a mark."""
    if sealed.startswith(MARK):
        yield int.from_bytes(sealed[len(MARK) : MARKED_BYTES], "big"), sealed[MARKED_BYTES:]
    yield FIRST, sealed


@functools.lru_cache(maxsize=64)
def _cipher(key: bytes, use: Use) -> AESGCM:
    return AESGCM(_derive(key, use.value))


@functools.lru_cache(maxsize=64)
def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, b"codetect " + purpose).derive(key)


def _name(owner: UUID | str) -> bytes:
    return owner.bytes if isinstance(owner, UUID) else owner.encode()


async def facility_key(session: AsyncSession, facility_id: UUID, master_key: bytes) -> FacilityKey:
    """Return the facility's key, made at its first use.

    Until the transaction ends there will be no newer generation: so what is sealed and committed with this key is
    there when a rotation looks for what is to be sealed anew. Never seal with a key of another transaction.
    """
    await beside_others(session, lock_of(facility_id))
    found = await generations(session, facility_id, master_key)
    if not found:
        fresh = aes_key_wrap(master_key, os.urandom(KEY_BYTES))
        row = {"facility_id": facility_id, "generation": FIRST, "wrapped": fresh}
        await session.execute(insert(FacilityKeyRow).values(row).on_conflict_do_nothing())
        found = await generations(session, facility_id, master_key)
    return key_of(found)


def lock_of(facility_id: UUID) -> str:
    """Return the name of the lock that who seals shares, and who makes a generation has alone."""
    return f"facility key/{facility_id}"


async def generations(session: AsyncSession, facility_id: UUID, master_key: bytes) -> dict[int, bytes]:
    """Return what a facility's rows hold, by generation. Raises InvalidUnwrap."""
    rows = select(FacilityKeyRow.generation, FacilityKeyRow.wrapped).where(FacilityKeyRow.facility_id == facility_id)
    return {generation: _unwrapped(master_key, wrapped) for generation, wrapped in await session.execute(rows)}


def key_of(found: Mapping[int, bytes]) -> FacilityKey:
    """Return the key that these generations are."""
    *older, newest = sorted(generation for generation in found if generation != LASTING)
    return FacilityKey(found[newest], newest, {each: found[each] for each in older}, found.get(LASTING))


async def rewrap(session: AsyncSession, master_key: bytes) -> int:
    """Wrap anew, with the present master key, what an old one had wrapped; return how many keys that were."""
    changed = 0
    for row in await session.scalars(select(FacilityKeyRow).with_for_update()):
        try:
            aes_key_unwrap(master_key, row.wrapped)
        except InvalidUnwrap:
            row.wrapped = aes_key_wrap(master_key, _unwrapped(master_key, row.wrapped))
            changed += 1
    return changed


async def rewrap_all(settings: Settings) -> int:
    """Do so for every facility: the command `reseal`."""
    async with opened(settings.database_url, settings.database_system_url) as db, db.system() as session:
        return await rewrap(session, settings.master_key)


def _unwrapped(master_key: bytes, wrapped: bytes) -> bytes:
    """Open a key with the master key or one of before. Raises InvalidUnwrap."""
    for key in keys_of(master_key):
        try:
            return aes_key_unwrap(key, wrapped)
        except InvalidUnwrap:
            continue
    raise InvalidUnwrap
