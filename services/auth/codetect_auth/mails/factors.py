"""Mails about second factors: to whom they belong and, where somebody else takes them away, to those who answer for it.

Admins hear of each factor that is reset in their facility, operators of each that one of them, or a command, resets.
"""

from typing import Literal
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.tokens import Role
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.access.steps import COMMAND, By
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import Facility, Person, RecoveryCode
from codetect_auth.people import active_heads
from codetect_auth.recording import among_operators

What = Literal["added", "removed", "recovery codes"]
Facts = dict[str, str | int]


async def changed(session: AsyncSession, master_key: bytes, person: Person, what: What, name: str, deed: UUID) -> None:
    """A factor of somebody's came, or went, or there are other recovery codes, which have no name."""
    facts: Facts = {"what": what, "name": name}
    cause = f"factor/{deed}/{what}"
    await ask(session, master_key, person.facility_id, Kind.FACTOR_CHANGED, person.email, cause, **facts)


async def code_used(session: AsyncSession, master_key: bytes, person_id: UUID, code_id: UUID) -> None:
    """One of somebody's recovery codes is spent; so many are left."""
    person = await session.get_one(Person, person_id)
    unused = RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None)
    left = await session.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0
    cause = f"recovery-code/{code_id}"
    await ask(session, master_key, person.facility_id, Kind.RECOVERY_CODE_USED, person.email, cause, left=left)


async def reset(session: AsyncSession, master_key: bytes, person: Person, by: By, reason: str | None) -> None:
    """Somebody's factors were taken away: to them and the facility's admins; for operators and commands, see above."""
    deed = uuid7()
    facts: Facts = {"name": person.name, "by": by.name, "reason": reason or ""}
    for each in {one.id: one for one in (person, *await active_heads(session))}.values():
        await _of_reset(session, master_key, each, deed, facts)
    facility = await session.get_one(Facility, person.facility_id)
    if by.role not in (Role.OPERATOR, COMMAND.role):
        return
    async with among_operators(session) as operators:
        if operators in (None, facility.id):
            return
        doer = await session.get(Person, by.id) if by.id else None
        facts |= {"name": f"{person.name}, {facility.name}", "by": doer.name if doer else by.name}
        for each in await active_heads(session):
            await _of_reset(session, master_key, each, deed, facts)


async def _of_reset(session: AsyncSession, master_key: bytes, to: Person, deed: UUID, facts: Facts) -> None:
    cause = f"factors-reset/{deed}/{to.id}"
    await ask(session, master_key, to.facility_id, Kind.FACTORS_RESET, to.email, cause, **facts)
