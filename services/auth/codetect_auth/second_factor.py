"""Second factors: authenticator apps (TOTP, RFC 6238) and recovery codes. Each code works once."""

import asyncio
import base64
import os
from dataclasses import dataclass
from uuid import UUID

import pyotp
from codetect_shared.problems import Unauthenticated
from codetect_shared.sealing import seal, unseal
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import Person, RecoveryCode, TotpFactor
from codetect_auth.passwords import SALT_BYTES, Passwords

STEPS_OFF = 1
RECOVERY_CODES = 10
CODE_BYTES = 10


class CodeRefused(Unauthenticated):
    """This code is not right, or was used before."""


@dataclass(frozen=True)
class RecoveryBatch:
    """Recovery codes as a person sees them once, and as they are kept."""

    codes: list[str]
    salt: bytes
    hashes: list[bytes]


def totp_owner(person_id: UUID) -> str:
    """What a person's sealed secrets are bound to."""
    return f"totp/{person_id}"


def totp_step(secret: str, code: str) -> int:
    """The time step a code belongs to, now or one step off; raises CodeRefused for none."""
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code.replace(" ", ""), valid_window=STEPS_OFF)
    except OTPVerificationError:
        raise CodeRefused from None


def add_totp(session: AsyncSession, master_key: bytes, person: Person, secret: str, last_step: int) -> None:
    """A confirmed authenticator; codes up to `last_step` are spent."""
    sealed = seal(master_key, secret.encode(), totp_owner(person.id))
    session.add(
        TotpFactor(facility_id=person.facility_id, person_id=person.id, sealed_secret=sealed, last_step=last_step)
    )


async def use_totp(session: AsyncSession, master_key: bytes, person_id: UUID, code: str) -> None:
    """Spend a code of one of the person's authenticators; raises CodeRefused."""
    for factor in await session.scalars(select(TotpFactor).where(TotpFactor.person_id == person_id)):
        try:
            step = totp_step(unseal(master_key, factor.sealed_secret, totp_owner(person_id)).decode(), code)
        except CodeRefused:
            continue
        spend = update(TotpFactor).where(TotpFactor.id == factor.id, TotpFactor.last_step < step).values(last_step=step)
        if (await session.execute(spend.returning(TotpFactor.id))).first():
            return
    raise CodeRefused


async def make_recovery_codes(passwords: Passwords) -> RecoveryBatch:
    """New codes of 80 random bits each; slow, so outside any transaction."""
    salt = os.urandom(SALT_BYTES)
    texts = [base64.b32encode(os.urandom(CODE_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    hashes = await asyncio.gather(*(passwords.hash_code(text, salt) for text in texts))
    return RecoveryBatch(["-".join(text[i : i + 4] for i in range(0, 16, 4)) for text in texts], salt, hashes)


def add_recovery_codes(session: AsyncSession, person: Person, batch: RecoveryBatch) -> None:
    """Keep a batch for a person who has none."""
    ids = {"facility_id": person.facility_id, "person_id": person.id, "salt": batch.salt}
    session.add_all(RecoveryCode(**ids, code_hash=code_hash) for code_hash in batch.hashes)


async def recovery_salt(session: AsyncSession, person_id: UUID) -> bytes:
    """The salt of a person's recovery codes; some salt for a person who has none."""
    salt = await session.scalar(select(RecoveryCode.salt).where(RecoveryCode.person_id == person_id).limit(1))
    return salt or bytes(SALT_BYTES)


async def hash_recovery_code(passwords: Passwords, code: str, salt: bytes) -> bytes:
    """A typed code as it would be kept."""
    return await passwords.hash_code(code.replace("-", "").replace(" ", "").lower(), salt)


async def use_recovery_code(session: AsyncSession, person_id: UUID, code_hash: bytes) -> None:
    """Spend a code; raises CodeRefused."""
    mine = RecoveryCode.person_id == person_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None)
    spend = update(RecoveryCode).where(*mine).values(used_at=func.clock_timestamp()).returning(RecoveryCode.id)
    if (await session.execute(spend)).first() is None:
        raise CodeRefused
