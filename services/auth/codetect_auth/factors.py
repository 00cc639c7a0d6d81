"""A person's own second factors: which there are, further ones, names, and removing all but the last.

The person gets mail of each that comes or goes.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.events import FactorAdded, FactorRemoved
from codetect_shared.problems import Conflict, NotFound
from codetect_shared.tokens import Principal
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import enrolment, passkeys, second_factor, steps, throttle
from codetect_auth.context import Auth, Caller
from codetect_auth.enrolment import Enrolment
from codetect_auth.mails import factors as mails
from codetect_auth.models import Facility, FactorRow, Passkey, Person, Purpose, RecoveryCode, TotpFactor
from codetect_auth.passkeys import Ceremony
from codetect_auth.recording import record
from codetect_auth.step_up import proof

MOST = 20
Kind = Literal["totp", "passkey"]
KINDS: dict[Kind, type[FactorRow]] = {"totp": TotpFactor, "passkey": Passkey}


class LastFactor(Conflict):
    """This is the last second factor; add another one before you remove it."""


class TooManyFactors(Conflict):
    """Nobody needs so many second factors; remove one that you don't use."""


@dataclass(frozen=True)
class Factor:
    """One second factor, as its owner sees it."""

    id: UUID
    kind: Kind
    name: str
    created_at: datetime
    used_at: datetime | None


async def list_factors(session: AsyncSession, person_id: UUID) -> tuple[list[Factor], int]:
    """A person's second factors, the oldest first, and how many recovery codes are left."""
    found = [factor for kind in KINDS for factor in await _of(session, person_id, kind)]
    unused = RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None)
    left = await session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused))
    return sorted(found, key=lambda factor: factor.id), left or 0


async def start_totp(session: AsyncSession, auth: Auth, who: Principal) -> tuple[str, Enrolment]:
    """A secret for a further authenticator app, and the token to confirm it with."""
    person = await _room(session, who)
    facility = await session.get_one(Facility, person.facility_id)
    sealed = enrolment.new_secret(auth, person.id)
    token = steps.start(session, person, Purpose.ADD, sealed)
    return token, enrolment.picture(enrolment.unsealed(auth, sealed, person.id), person, facility)


async def confirm_totp(auth: Auth, caller: Caller, who: Principal, token: str, code: str, name: str | None) -> Factor:
    """Accept a first code of a further authenticator app."""
    step = await steps.attempt(auth, caller.active_facility(), token, Purpose.ADD)
    if str(step.person_id) != who.subject:
        raise steps.StepExpired
    secret = enrolment.secret_of(auth, step)
    with proof():
        first = second_factor.totp_step(secret, code)
    async with auth.db.facility(who.facility_id) as session:
        person = await steps.spend(session, step)
        await _room(session, who)
        await throttle.clear(session, throttle.factor_key(person.id))
        factor = second_factor.add_totp(session, auth.settings.master_key, person, secret, first, name)
        await record(session, who, "factor.add", person, FactorAdded(person_id=person.id, kind="totp"))
        await mails.changed(session, auth.settings.master_key, person, "added", factor.name, factor.id)
        await session.refresh(factor)
        return _factor("totp", factor)


async def start_passkey(session: AsyncSession, caller: Caller, who: Principal) -> dict[str, Any]:
    """Options for navigator.credentials.create(): a further passkey."""
    person = await _room(session, who)
    site = passkeys.site_of(caller, await session.get_one(Facility, person.facility_id))
    return await passkeys.ask_for_new(session, site, person, Ceremony.ADD, person.id)


async def confirm_passkey(auth: Auth, caller: Caller, who: Principal, credential: dict[str, Any], name: str) -> Factor:
    """Accept the further passkey."""
    with proof():
        challenge = await passkeys.take(auth, who.facility_id, Ceremony.ADD, UUID(who.subject), credential)
    async with auth.db.facility(who.facility_id) as session:
        person = await _room(session, who)
        site = passkeys.site_of(caller, await session.get_one(Facility, person.facility_id))
        with proof():
            passkey = await passkeys.add(session, site, challenge, person, credential, name)
        await record(session, who, "factor.add", person, FactorAdded(person_id=person.id, kind="passkey"))
        await mails.changed(session, auth.settings.master_key, person, "added", passkey.name, passkey.id)
        await session.refresh(passkey)
        return _factor("passkey", passkey)


async def rename(session: AsyncSession, who: Principal, factor_id: UUID, name: str) -> Factor:
    """Give one of my factors another name."""
    person = await session.get_one(Person, UUID(who.subject))
    kind, row = await _mine(session, person, factor_id)
    row.name = name
    await record(session, who, "factor.rename", person, kind=kind)
    return _factor(kind, row)


async def remove(auth: Auth, session: AsyncSession, who: Principal, factor_id: UUID) -> None:
    """Remove one of my factors, never the last."""
    person = await session.get_one(Person, UUID(who.subject), with_for_update=True)
    kind, row = await _mine(session, person, factor_id)
    if await second_factor.count(session, person.id) == 1:
        raise LastFactor
    await session.delete(row)
    await record(session, who, "factor.remove", person, FactorRemoved(person_id=person.id, kind=kind))
    await mails.changed(session, auth.settings.master_key, person, "removed", row.name, row.id)


async def renew_recovery_codes(auth: Auth, who: Principal) -> list[str]:
    """New recovery codes; the old ones are gone."""
    batch = await second_factor.make_recovery_codes(auth.passwords)
    async with auth.db.facility(who.facility_id) as session:
        person = await session.get_one(Person, UUID(who.subject), with_for_update=True)
        await second_factor.replace_recovery_codes(session, person, batch)
        await record(session, who, "factor.add", person, FactorAdded(person_id=person.id, kind="recovery_codes"))
        await mails.changed(session, auth.settings.master_key, person, "recovery codes", "", uuid7())
    return batch.codes


async def _room(session: AsyncSession, who: Principal) -> Person:
    """The person, locked, if one factor more is not too many."""
    person = await session.get_one(Person, UUID(who.subject), with_for_update=True)
    if await second_factor.count(session, person.id) >= MOST:
        raise TooManyFactors
    return person


async def _of(session: AsyncSession, person_id: UUID, kind: Kind) -> list[Factor]:
    table = KINDS[kind]
    rows = (await session.scalars(select(table).where(table.person_id == person_id))).all()
    return [_factor(kind, row) for row in rows]


async def _mine(session: AsyncSession, person: Person, factor_id: UUID) -> tuple[Kind, FactorRow]:
    for kind, table in KINDS.items():
        row = await session.get(table, factor_id)
        if row is not None and row.person_id == person.id:
            return kind, row
    raise NotFound


def _factor(kind: Kind, row: FactorRow) -> Factor:
    return Factor(row.id, kind, row.name, row.created_at, row.used_at)
