"""Second factors: which a person has; authenticator apps (TOTP, RFC 6238) and recovery codes. Each code works once."""

import asyncio
import base64
import os
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import pyotp
from codetect_shared.problems import Unauthenticated
from codetect_shared.sealing import seal, unseal
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.context import Auth
from codetect_auth.mails import factors as mails
from codetect_auth.models import Passkey, Person, RecoveryCode, TotpFactor
from codetect_auth.passwords import SALT_BYTES, Passwords

CodeMethod = Literal["totp", "recovery_code"]
Method = Literal["totp", "passkey", "recovery_code"]

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


@dataclass(frozen=True)
class Proof:
    """A code that was typed, and, of a recovery code, its slow hash."""

    method: CodeMethod
    code: str
    code_hash: bytes = b""


async def methods_of(session: AsyncSession, person_id: UUID) -> list[Method]:
    """What a person can log in with after the password."""
    unused = RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None)
    has: dict[Method, bool] = {
        "totp": await _any(session, TotpFactor.person_id == person_id),
        "passkey": await _any(session, Passkey.person_id == person_id),
        "recovery_code": await _any(session, *unused),
    }
    return [method for method, there in has.items() if there]


async def count(session: AsyncSession, person_id: UUID) -> int:
    """How many second factors a person has; recovery codes are none."""
    found = [
        await session.scalar(select(func.count()).select_from(table).where(table.person_id == person_id))
        for table in (TotpFactor, Passkey)
    ]
    return sum(number or 0 for number in found)


async def prepare(auth: Auth, facility_id: UUID, person_id: UUID, method: CodeMethod, code: str) -> Proof:
    """What is slow about a code, before the transaction that spends it."""
    if method == "totp":
        return Proof(method, code)
    async with auth.db.facility(facility_id) as session:
        salt = await recovery_salt(session, person_id)
    return Proof(method, code, await hash_recovery_code(auth.passwords, code, salt))


async def use(session: AsyncSession, master_key: bytes, person_id: UUID, proof: Proof) -> None:
    """Spend a code of a person's, who gets mail of a recovery code; raises CodeRefused."""
    if proof.method == "totp":
        await use_totp(session, master_key, person_id, proof.code)
    else:
        code_id = await use_recovery_code(session, person_id, proof.code_hash)
        await mails.code_used(session, master_key, person_id, code_id)


def totp_owner(person_id: UUID) -> str:
    """What a person's sealed secrets are bound to."""
    return f"totp/{person_id}"


def totp_step(secret: str, code: str) -> int:
    """The time step a code belongs to, now or one step off; raises CodeRefused for none."""
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code.replace(" ", ""), valid_window=STEPS_OFF)
    except OTPVerificationError:
        raise CodeRefused from None


def add_totp(
    session: AsyncSession, master_key: bytes, person: Person, secret: str, last_step: int, name: str | None = None
) -> TotpFactor:
    """A confirmed authenticator; codes up to `last_step` are spent."""
    sealed = seal(master_key, secret.encode(), totp_owner(person.id))
    factor = TotpFactor(facility_id=person.facility_id, person_id=person.id, sealed_secret=sealed, last_step=last_step)
    factor.name = name or "Authenticator app"
    session.add(factor)
    return factor


async def use_totp(session: AsyncSession, master_key: bytes, person_id: UUID, code: str) -> None:
    """Spend a code of one of the person's authenticators; raises CodeRefused."""
    for factor in await session.scalars(select(TotpFactor).where(TotpFactor.person_id == person_id)):
        try:
            step = totp_step(unseal(master_key, factor.sealed_secret, totp_owner(person_id)).decode(), code)
        except CodeRefused:
            continue
        spend = (
            update(TotpFactor)
            .where(TotpFactor.id == factor.id, TotpFactor.last_step < step)
            .values(last_step=step, used_at=func.clock_timestamp())
        )
        if (await session.execute(spend.returning(TotpFactor.id))).first():
            return
    raise CodeRefused


async def make_recovery_codes(passwords: Passwords) -> RecoveryBatch:
    """New codes of 80 random bits each; slow, so outside any transaction."""
    salt = os.urandom(SALT_BYTES)
    texts = [base64.b32encode(os.urandom(CODE_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)]
    hashes = await asyncio.gather(*(passwords.hash_code(text, salt) for text in texts))
    return RecoveryBatch(["-".join(text[i : i + 4] for i in range(0, 16, 4)) for text in texts], salt, hashes)


async def replace_recovery_codes(session: AsyncSession, person: Person, batch: RecoveryBatch) -> None:
    """Keep a batch instead of those there were."""
    await session.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person.id))
    add_recovery_codes(session, person, batch)


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


async def use_recovery_code(session: AsyncSession, person_id: UUID, code_hash: bytes) -> UUID:
    """Spend a code, and say which; raises CodeRefused."""
    mine = RecoveryCode.person_id == person_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None)
    spend = update(RecoveryCode).where(*mine).values(used_at=func.clock_timestamp()).returning(RecoveryCode.id)
    used = await session.scalar(spend)
    if used is None:
        raise CodeRefused
    return used


async def _any(session: AsyncSession, *which: ColumnElement[bool]) -> bool:
    return bool(await session.scalar(select(exists().where(*which))))
