"""What admins do with the facility's people: rights, suspending, ending logins, resetting lost factors.

Whatever a person may do less from now on bites within a minute: access tokens issued before are refused.
"""

from collections.abc import Iterable
from uuid import UUID

from codetect_shared.audit import Actor
from codetect_shared.events import FactorsReset, PersonChanged
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.tokens import Principal, Role
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import clients, people, revocations, sessions, steps
from codetect_auth.context import Auth
from codetect_auth.models import Facility, Passkey, Person, RecoveryCode, Status, TotpFactor
from codetect_auth.recording import record

HEADS = {Role.ADMIN, Role.OPERATOR}


class LastAdmin(Conflict):
    """This is the last active admin; make somebody else an admin first."""


class NotYourself(Conflict):
    """This is about yourself; manage your own factors, or ask another admin."""


class NotTheSoleAdmin(Conflict):
    """Another admin of the facility can do this; operators help a sole admin only."""


async def hold_heads(session: AsyncSession, facility_id: UUID) -> None:
    """Lock the facility before its people: of two admins who suspend each other at once, one stays."""
    await session.execute(select(Facility.id).where(Facility.id == facility_id).with_for_update(key_share=True))


async def keep_an_admin(session: AsyncSession, person: Person) -> None:
    """Raise LastAdmin if nobody else of a person's rank could work; before they are suspended, demoted or removed.

    The caller has called `hold_heads` first of all.
    """
    if person.role not in HEADS or person.status != Status.ACTIVE:
        return
    others = Person.role == person.role, Person.status == Status.ACTIVE, Person.id != person.id
    if not await session.scalar(select(func.count()).select_from(Person).where(*others)):
        raise LastAdmin


async def change(
    session: AsyncSession, who: Principal, person_id: UUID, rights: Iterable[str] | None, status: Status | None
) -> Person:
    """Give one of the facility's people other rights, suspend them, or let them work again."""
    await hold_heads(session, who.facility_id)
    person = await people.find_person(session, Person.id == person_id)
    if rights is not None:
        await people.change_rights(session, person, rights, who)
    if status is not None and status != person.status:
        await (suspend if status is Status.SUSPENDED else reinstate)(session, who, person)
    return person


async def suspend(session: AsyncSession, who: Principal, person: Person) -> None:
    """Let a person in no more: their logins end, and what their API clients may do rests."""
    await keep_an_admin(session, person)
    person.status = Status.SUSPENDED
    await sessions.end_sessions(session, person.id, "suspended", who=who)
    await revocations.refuse(session, person.facility_id, person.id)
    await clients.refuse_clients_of(session, person)
    changed = PersonChanged(person_id=person.id, changed_by=UUID(who.subject))
    await record(session, who, "person.suspend", person, changed)


async def reinstate(session: AsyncSession, who: Principal, person: Person) -> None:
    """Let a suspended person log in again."""
    person.status = Status.ACTIVE
    changed = PersonChanged(person_id=person.id, changed_by=UUID(who.subject))
    await record(session, who, "person.reinstate", person, changed)


async def end_sessions(session: AsyncSession, who: Principal, person_id: UUID) -> None:
    """End all of a person's logins; they may log in again."""
    person = await people.find_person(session, Person.id == person_id)
    await sessions.end_sessions(session, person.id, "ended by an admin", who=who)
    await record(session, who, "person.end-sessions", person)


async def reset_factors(auth: Auth, who: Principal, person_id: UUID, reason: str | None) -> None:
    """End a person's factors, recovery codes and logins: who has the password sets up a factor at the next login.

    An admin does it for the facility's own people. An operator does it for their own, and for a facility's sole admin,
    with a reason.
    """
    if str(person_id) == who.subject:
        raise NotYourself
    facility_id = who.facility_id
    if who.role is Role.OPERATOR:
        facility_id = await _where(auth, person_id)
    here = Actor(who.subject, facility_id, who.role, who.session_id)
    async with auth.db.facility(facility_id) as session:
        await hold_heads(session, facility_id)
        person = await people.find_person(session, Person.id == person_id)
        if facility_id != who.facility_id:
            await _sole_admin(session, person)
            if not reason:
                raise BadInput("Give a reason; the facility's admins read it.")
        for table in (TotpFactor, Passkey, RecoveryCode):
            await session.execute(delete(table).where(table.person_id == person.id))
        await steps.end_all(session, person)
        await sessions.end_sessions(session, person.id, "second factors were reset", who=here)
        await revocations.refuse(session, facility_id, person.id)
        reset = FactorsReset(person_id=person.id, by=UUID(who.subject))
        await record(session, here, "factor.reset", person, reset, reason=reason)


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
        await keep_an_admin(session, person)
    except LastAdmin:
        return
    raise NotTheSoleAdmin
