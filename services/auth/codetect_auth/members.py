"""What admins do with the facility's people: role, rights, suspending, removing, ending logins.

Whatever a person may do less from now on bites within a minute: access tokens issued before are refused. One active
admin is always left, also when two act at once.
"""

from collections.abc import Iterable

from codetect_shared.db import uuid7
from codetect_shared.events import PersonChanged, PersonReactivated, PersonRemoved, PersonSuspended
from codetect_shared.problems import BadInput, Conflict
from codetect_shared.tokens import Role
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import clients, people, revocations, sessions
from codetect_auth.access.steps import By
from codetect_auth.access.steps import record as keep_step
from codetect_auth.context import Auth
from codetect_auth.mails import undeliverable
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import AccessRequest, Base, Facility, Invitation, Person, Status
from codetect_auth.recording import record

HEADS = {Role.ADMIN, Role.OPERATOR}
STAY = {"terms_acceptances"}  # ids and times alone
FORGOTTEN = ""


class LastAdmin(Conflict):
    """This is the last active admin; make somebody else an admin first."""


async def hold_heads(session: AsyncSession) -> None:
    """Lock the session's facility before its people: of two admins who suspend each other at once, one stays."""
    mine = Facility.id == func.current_setting("codetect.facility").cast(Facility.id.type)
    await session.execute(select(Facility.id).where(mine).with_for_update(key_share=True))


async def keep_an_admin(session: AsyncSession, person: Person) -> None:
    """Raise LastAdmin if nobody else of a person's rank could work; before they are suspended, demoted or removed.

    The caller has called `hold_heads` first of all.
    """
    if person.role not in HEADS or person.status != Status.ACTIVE:
        return
    others = Person.role == person.role, Person.status == Status.ACTIVE, Person.id != person.id
    if await session.scalar(select(Person.id).where(*others).limit(1)) is None:
        raise LastAdmin


async def change(
    auth: Auth,
    session: AsyncSession,
    which: ColumnElement[bool],
    by: By,
    *,
    role: Role | None = None,
    rights: Iterable[str] | None = None,
    status: Status | None = None,
) -> Person:
    """Give one of the session's facility's people another role, other rights or another status.

    Raises NotFound, LastAdmin.
    """
    person = await hold(session, which)
    lent = clients.most_scopes(person)
    if rights is not None:
        await _set_rights(auth, session, person, rights, by)
    if role is not None and role != person.role:
        await _set_role(auth, session, person, role, by)
    if not lent <= clients.most_scopes(person):
        await clients.refuse_clients_of(session, person)
    if status is not None and status != person.status:
        await _set_status(auth, session, person, status, by)
    return person


async def remove(auth: Auth, session: AsyncSession, which: ColumnElement[bool], by: By) -> None:
    """Let somebody go: what they prove themselves with is deleted, name and address are forgotten, the id stays."""
    person = await hold(session, which)
    await keep_an_admin(session, person)
    if not await undeliverable.forget(session, auth.settings.master_key, person.email):
        await _mail(auth, session, person, "removed", by)
    await _shut_out(session, person, "removed", by, for_good=True)
    await session.execute(update(Invitation).where(Invitation.invited_by == person.id).values(inviter=FORGOTTEN))
    for table in (AccessRequest, Invitation):
        forgotten = {"email": FORGOTTEN, "name": FORGOTTEN, "email_key": f"removed:{person.id}"}
        forgotten |= {"reason": FORGOTTEN} if table is AccessRequest else {}
        await session.execute(update(table).where(table.email_key == person.email_key).values(forgotten))
    for table in reversed(Base.metadata.sorted_tables):
        if "person_id" in table.columns and table.name not in STAY:
            await session.execute(delete(table).where(table.c.person_id == person.id))
    was, person.status, person.rights, person.password_hash = person.status, Status.REMOVED, [], None
    person.email, person.name, person.email_key = FORGOTTEN, FORGOTTEN, f"removed:{person.id}"
    await keep_step(session, person.facility_id, "person", person.id, "removed", by, was=was, now=Status.REMOVED)
    removed = PersonRemoved(person_id=person.id, removed_by=by.id)
    await record(session, by.principal, "person.remove", person, removed)


async def end_sessions(session: AsyncSession, which: ColumnElement[bool], by: By) -> None:
    """End all of a person's logins; they may log in again."""
    person = await people.find_person(session, which & (Person.status != Status.REMOVED))
    await sessions.end_sessions(session, person.id, "ended by an admin", who=by.principal)
    await keep_step(session, person.facility_id, "person", person.id, "logins ended", by)
    await record(session, by.principal, "person.end-sessions", person)


async def hold(session: AsyncSession, which: ColumnElement[bool]) -> Person:
    """The person, while nobody else changes the facility's people. Raises NotFound."""
    await hold_heads(session)
    return await people.find_person(session, which & (Person.status != Status.REMOVED))


async def _set_rights(auth: Auth, session: AsyncSession, person: Person, rights: Iterable[str], by: By) -> None:
    before = list(person.rights)
    await people.change_rights(session, person, rights, by.principal)
    if before != person.rights:
        was, now = " ".join(before), " ".join(person.rights)
        await keep_step(session, person.facility_id, "person", person.id, "rights", by, was=was, now=now)
        await _mail(auth, session, person, "rights", by)


async def _set_role(auth: Auth, session: AsyncSession, person: Person, role: Role, by: By) -> None:
    if Role.OPERATOR in (role, person.role) or role is Role.API_CLIENT:
        raise BadInput("A person's role is admin, member or viewer; operators are invited as such.")
    await keep_an_admin(session, person)
    was, person.role = person.role, role.value
    await revocations.refuse(session, person.facility_id, person.id)
    await keep_step(session, person.facility_id, "person", person.id, "role", by, was=was, now=role.value)
    changed = PersonChanged(person_id=person.id, changed_by=by.id)
    await record(session, by.principal, "person.role", person, changed, before=was, after=role.value)
    await _mail(auth, session, person, "role", by)


async def _set_status(auth: Auth, session: AsyncSession, person: Person, status: Status, by: By) -> None:
    suspended = status is Status.SUSPENDED
    if suspended:
        await keep_an_admin(session, person)
        await _shut_out(session, person, "suspended", by)
    was, person.status = person.status, status.value
    await keep_step(session, person.facility_id, "person", person.id, status.value, by, was=was, now=status.value)
    told = (PersonSuspended if suspended else PersonReactivated)(person_id=person.id, changed_by=by.id)
    await record(session, by.principal, "person.suspend" if suspended else "person.reinstate", person, told)
    await _mail(auth, session, person, status.value, by)


async def _shut_out(session: AsyncSession, person: Person, why: str, by: By, *, for_good: bool = False) -> None:
    """Refuse all that a person holds, and what their API clients hold; these end with a person who is gone for good."""
    await clients.refuse_clients_of(session, person, revoke=for_good)
    await sessions.end_sessions(session, person.id, why, who=by.principal)
    await revocations.refuse(session, person.facility_id, person.id)


async def _mail(auth: Auth, session: AsyncSession, person: Person, what: str, by: By) -> None:
    cause, key = f"person/{person.id}/{what}/{uuid7()}", auth.settings.master_key
    await ask(session, key, person.facility_id, Kind.MEMBER_CHANGED, person.email, cause, what=what, by=by.name)
