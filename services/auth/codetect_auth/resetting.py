"""Taking away second factors that somebody lost, so that they set up new ones at the next login.

An admin does it for the facility's own people. An operator does it for their own, and for a facility's sole admin,
with a reason. Whoever runs commands on the machine does it for anybody: a sole operator has nobody else.
"""

from uuid import UUID

from codetect_shared.audit import Actor
from codetect_shared.events import FactorsReset
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.tokens import Principal, Role
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import facilities, members, revocations, sessions, steps
from codetect_auth.access.steps import FACTORS_RESET, By
from codetect_auth.access.steps import by as by_token
from codetect_auth.access.steps import record as keep_step
from codetect_auth.context import Auth
from codetect_auth.mails import factors as mails
from codetect_auth.models import Facility, Passkey, Person, RecoveryCode, TotpFactor
from codetect_auth.recording import record


class NotYourself(Conflict):
    """This is about yourself; manage your own factors, or ask another admin."""


class NotTheSoleAdmin(Conflict):
    """Another admin of the facility can do this; operators help a sole admin only."""


async def reset_factors(auth: Auth, who: Principal, person_id: UUID, reason: str | None) -> None:
    """For who is logged in. Raises NotFound, BadInput, NotYourself, NotTheSoleAdmin."""
    if str(person_id) == who.subject:
        raise NotYourself
    facility_id = who.facility_id
    if who.role is Role.OPERATOR:
        facility_id = await _where(auth, person_id)
    async with auth.db.facility(facility_id) as session:
        person = await members.hold(session, Person.id == person_id)
        by = await by_token(session, who)
        if facility_id != who.facility_id:
            await _sole_admin(session, person)
            if not reason:
                raise BadInput("Give a reason; the facility's admins read it.")
            await facilities.tell_admins(session, await session.get_one(Facility, facility_id), FACTORS_RESET, by)
        await reset(auth, session, person, by, reason)


async def reset(auth: Auth, session: AsyncSession, person: Person, by: By, reason: str | None) -> None:
    """End a person's factors, recovery codes, half-done logins, logins and access tokens, and mail all who are to know.

    The caller has locked the person.
    """
    who = by.principal and Actor(by.principal.subject, person.facility_id, by.role, by.principal.session_id)
    for table in (TotpFactor, Passkey, RecoveryCode):
        await session.execute(delete(table).where(table.person_id == person.id))
    await steps.end_all(session, person)
    await sessions.end_sessions(session, person.id, "second factors were reset", who=who)
    await revocations.refuse(session, person.facility_id, person.id)
    await keep_step(session, person.facility_id, "person", person.id, FACTORS_RESET, by, reason=reason)
    told = FactorsReset(person_id=person.id, by=by.id)
    await record(session, who, "factor.reset", person, told)
    await mails.reset(session, auth.settings.master_key, person, by, reason)


async def _where(auth: Auth, person_id: UUID) -> UUID:
    async with auth.db.system() as session:
        facility_id = await session.scalar(select(Person.facility_id).where(Person.id == person_id))
    if facility_id is None:
        raise NotFound("There is no such person.")
    return facility_id


async def _sole_admin(session: AsyncSession, person: Person) -> None:
    """Raise unless nobody of the facility could do it. Not there and no admin look the same to an operator."""
    if person.role != Role.ADMIN:
        raise NotFound("There is no such person.")
    try:
        await members.keep_an_admin(session, person)
    except members.LastAdmin:
        return
    raise NotTheSoleAdmin
