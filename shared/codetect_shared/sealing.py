"""Secrets at rest: AES-256-GCM under the master key, bound to what they belong to.

The master key can be changed: what it had sealed before opens while the old one is named beside it, and is sealed anew
by each service's command `reseal`, after which the old one can go (docs/keys.md).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import column, literal_column, select, table, update
from sqlalchemy.ext.asyncio import AsyncSession

VERSION = b"\x01"
NONCE_BYTES = 12


class MasterKey(bytes):
    """The 32 bytes that seal; `old` are those that only open."""

    old: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, key: bytes, old: Iterable[bytes]) -> "MasterKey":
        """A key with its predecessors."""
        made = cls(key)
        made.old = tuple(old)
        return made


def keys_of(master_key: bytes) -> tuple[bytes, ...]:
    """The key itself and then its predecessors."""
    return (master_key, *getattr(master_key, "old", ()))


def seal(master_key: bytes, secret: bytes, owner: str) -> bytes:
    """Version, nonce and ciphertext; it opens for the same `owner` only (GCM's associated data)."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(master_key).encrypt(nonce, secret, owner.encode())


def unseal(master_key: bytes, sealed: bytes, owner: str) -> bytes:
    """What `seal` was given. Raises cryptography's InvalidTag under other keys or for another owner."""
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    for key in keys_of(master_key):
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, owner.encode())
        except InvalidTag:
            continue
    raise InvalidTag


@dataclass(frozen=True)
class Sealed:
    """A column of sealed secrets; `owner` is the SQL expression of what each is bound to, `id` the table's key."""

    table: str
    column: str
    owner: str
    id: str = "id"


async def reseal(session: AsyncSession, master_key: bytes, where: Sealed) -> int:
    """Seal anew what an old master key had sealed; how many that were. It can be run again, and beside the service."""
    rows = table(where.table, column(where.id), column(where.column))
    id, sealed = rows.c[where.id], rows.c[where.column]
    changed = 0
    found = select(id, sealed, literal_column(where.owner)).where(sealed.is_not(None))
    for key, secret, owner in (await session.execute(found)).all():
        try:
            unseal(bytes(master_key), secret, owner)
        except InvalidTag:
            fresh = seal(master_key, unseal(master_key, secret, owner), owner)
            change = update(rows).where(id == key, sealed == secret).values({where.column: fresh}).returning(id)
            changed += len((await session.execute(change)).all())
    return changed
