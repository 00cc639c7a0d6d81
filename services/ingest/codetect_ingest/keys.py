"""Each facility's own key, wrapped by the platform's master key, and what is derived from it."""

import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.models import FacilityKeyRow

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True)
class FacilityKey:
    """A facility's key; each use has a key of its own (HKDF, RFC 5869), so that one that leaks opens nothing else."""

    key: bytes

    @property
    def pseudonyms(self) -> bytes:
        """Return what pseudonyms are made with; the children that read files get this one."""
        return self._derive(b"pseudonyms")

    def seal(self, text: str, owner: UUID) -> bytes:
        """Return nonce and AES-256-GCM ciphertext, which open for the same owner only."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._derive(b"text")).encrypt(nonce, text.encode(), owner.bytes)

    def unseal(self, sealed: bytes, owner: UUID) -> str:
        """Return what `seal` was given. Raises cryptography's InvalidTag for another owner or key."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return AESGCM(self._derive(b"text")).decrypt(nonce, ciphertext, owner.bytes).decode()

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, None, b"codetect " + purpose).derive(self.key)


async def facility_key(session: AsyncSession, facility_id: UUID, master_key: bytes) -> FacilityKey:
    """Return the facility's key, made at its first use."""
    mine = select(FacilityKeyRow.wrapped).where(FacilityKeyRow.facility_id == facility_id)
    wrapped = await session.scalar(mine)
    if wrapped is None:
        fresh = aes_key_wrap(master_key, os.urandom(KEY_BYTES))
        row = {"facility_id": facility_id, "wrapped": fresh}
        await session.execute(insert(FacilityKeyRow).values(row).on_conflict_do_nothing())
        wrapped = (await session.scalars(mine)).one()
    return FacilityKey(aes_key_unwrap(master_key, wrapped))
