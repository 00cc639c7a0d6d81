"""Each facility's own key, wrapped by the platform's master key, and what is derived from it."""

import functools
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from codetect_shared.db import opened
from codetect_shared.sealing import keys_of
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.models import FacilityKeyRow
from codetect_ingest.settings import Settings

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True)
class FacilityKey:
    """A facility's key; each use has a key of its own (HKDF, RFC 5869), so that one that leaks opens nothing else."""

    key: bytes

    @property
    def pseudonyms(self) -> bytes:
        """Return what pseudonyms are made with; the children that read files get this one."""
        return self._derived(b"pseudonyms")

    def seal(self, text: str, owner: UUID | str) -> bytes:
        """Return nonce and AES-256-GCM ciphertext, which open for the same owner only."""
        return self._sealed(b"text", text.encode(), owner)

    def unseal(self, sealed: bytes, owner: UUID | str) -> str:
        """Return what `seal` was given. Raises cryptography's InvalidTag for another owner or key."""
        return self._opened(b"text", sealed, owner).decode()

    def seal_identity(self, attributes: Mapping[str, Any], owner: UUID | str) -> bytes:
        """Seal one level of an identity (DICOM JSON)."""
        return self._sealed(b"identities", json.dumps(attributes, separators=(",", ":")).encode(), owner)

    def unseal_identity(self, sealed: bytes, owner: UUID | str) -> dict[str, Any]:
        """Return the attributes that `seal_identity` was given. Raises InvalidTag for another owner or key."""
        found: dict[str, Any] = json.loads(self._opened(b"identities", sealed, owner))
        return found

    def seal_bytes(self, data: bytes, owner: UUID | str) -> bytes:
        """Seal a whole file."""
        return self._sealed(b"files", data, owner)

    def unseal_bytes(self, sealed: bytes, owner: UUID | str) -> bytes:
        """Return what `seal_bytes` was given. Raises InvalidTag for another owner or key."""
        return self._opened(b"files", sealed, owner)

    def term(self, text: str) -> int:
        """Return the keyed hash of a search term, 64 bits: equal terms are found, none can be read back."""
        digest = hmac.digest(self._derived(b"terms"), text.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "big", signed=True)

    def _sealed(self, purpose: bytes, data: bytes, owner: UUID | str) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, data, _name(owner))

    def _opened(self, purpose: bytes, sealed: bytes, owner: UUID | str) -> bytes:
        return self._cipher(purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _name(owner))

    def _cipher(self, purpose: bytes) -> AESGCM:
        return AESGCM(self._derived(purpose))

    def _derived(self, purpose: bytes) -> bytes:
        return _derive(self.key, purpose)


@functools.lru_cache(maxsize=64)
def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, b"codetect " + purpose).derive(key)


def _name(owner: UUID | str) -> bytes:
    return owner.bytes if isinstance(owner, UUID) else owner.encode()


async def facility_key(session: AsyncSession, facility_id: UUID, master_key: bytes) -> FacilityKey:
    """Return the facility's key, made at its first use."""
    mine = select(FacilityKeyRow.wrapped).where(FacilityKeyRow.facility_id == facility_id)
    wrapped = await session.scalar(mine)
    if wrapped is None:
        fresh = aes_key_wrap(master_key, os.urandom(KEY_BYTES))
        row = {"facility_id": facility_id, "wrapped": fresh}
        await session.execute(insert(FacilityKeyRow).values(row).on_conflict_do_nothing())
        wrapped = (await session.scalars(mine)).one()
    return FacilityKey(_unwrapped(master_key, wrapped))


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
