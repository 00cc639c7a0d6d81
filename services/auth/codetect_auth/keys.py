"""The keys that access tokens are signed with: made, published ahead of use, rotated, revoked (docs/adr/0041)."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from codetect_shared.db import Database
from codetect_shared.problems import Conflict, NotFound
from codetect_shared.sealing import seal, unseal
from codetect_shared.tokens import FRESH_S, LEEWAY_S, LIFETIME_S, SigningKey
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import Select, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import SigningKeyRow as Row

log = structlog.get_logger()
PUBLISHED_AHEAD_S = 2 * FRESH_S
TOKEN_OVER_S = LIFETIME_S + LEEWAY_S
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('codetect_auth.signing_keys'))")


class SigningKeys:
    """The signing key of the moment, and the public keys of all tokens that may be about."""

    def __init__(self, db: Database, master_key: bytes) -> None:
        self._db, self._master_key = db, master_key
        self._opened: dict[str, SigningKey] = {}

    async def current(self, session: AsyncSession) -> SigningKey:
        """The youngest key that signs already."""
        row = (await session.scalars(_signing())).one()
        if row.kid not in self._opened:
            private = load_der_private_key(unseal(self._master_key, row.sealed_private, f"signing-key/{row.kid}"), None)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            self._opened[row.kid] = SigningKey(row.kid, private)
        return self._opened[row.kid]

    async def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set (RFC 7517): coming, signing and retired ones; no revoked one."""
        good = or_(Row.verifies_until.is_(None), Row.verifies_until > func.clock_timestamp())
        async with self._db.system() as session:
            jwks = await session.scalars(
                select(Row.public_jwk).where(Row.revoked_at.is_(None), good).order_by(Row.signs_from)
            )
            return {"keys": jwks.all()}

    async def ensure(self) -> None:
        """Make the first key."""
        async with self._db.system() as session:
            await session.execute(LOCK)
            if (await session.scalars(_signing())).first() is None:
                await self._add(session, await _now(session))

    async def rotate(self) -> str:
        """Publish a new key: it signs once every cache knows it, the old one verifies until its last token is over."""
        async with self._db.system() as session:
            await session.execute(LOCK)
            now = await _now(session)
            if (await session.scalars(select(Row).where(Row.signs_from > now, Row.revoked_at.is_(None)))).first():
                raise Conflict("A new key is on its way already; it signs within a minute.")
            return await self._add(session, now + timedelta(seconds=PUBLISHED_AHEAD_S))

    async def rotate_when_due(self, days: int) -> None:
        """Rotate once the signing key is so old; of several processes at once, one does."""
        async with self._db.system() as session:
            await session.execute(LOCK)
            now = await _now(session)
            young = Row.signs_from > now - timedelta(days=days), Row.revoked_at.is_(None)
            if await session.scalar(select(Row.kid).where(*young).limit(1)) is None:
                kid = await self._add(session, now + timedelta(seconds=PUBLISHED_AHEAD_S))
                log.info("signing key rotated", kid=kid)

    async def revoke(self, kid: str) -> str:
        """Have a key's tokens refused everywhere within a minute. Returns the key that signs from now on."""
        async with self._db.system() as session:
            await session.execute(LOCK)
            now = await _now(session)
            statement = update(Row).where(Row.kid == kid, Row.revoked_at.is_(None)).values(revoked_at=now)
            if not (await session.execute(statement.returning(Row.kid))).first():
                raise NotFound("No such key is in use.")
            youngest = (await session.scalars(_signing())).first()
            return youngest.kid if youngest and not youngest.verifies_until else await self._add(session, now)

    async def _add(self, session: AsyncSession, signs_from: datetime) -> str:
        key = SigningKey.generate()
        der = key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        sealed = seal(self._master_key, der, f"signing-key/{key.kid}")
        over = signs_from + timedelta(seconds=TOKEN_OVER_S)
        await session.execute(update(Row).where(Row.verifies_until.is_(None)).values(verifies_until=over))
        session.add(Row(kid=key.kid, sealed_private=sealed, public_jwk=key.public_jwk(), signs_from=signs_from))
        await session.flush()
        return key.kid


def _signing() -> Select[Row]:
    """The youngest key that signs already and hasn't been followed by another."""
    now = func.clock_timestamp()
    unfollowed = or_(Row.verifies_until.is_(None), Row.verifies_until > now + timedelta(seconds=TOKEN_OVER_S))
    here = select(Row).where(Row.revoked_at.is_(None), Row.signs_from <= now, unfollowed)
    return here.order_by(Row.signs_from.desc()).limit(1)


async def _now(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now
