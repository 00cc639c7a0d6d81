"""What admins do with their facility's people. One active admin is always left, also when two act at once."""

from collections.abc import Iterable

from codetect_shared.db import uuid7
from codetect_shared.events import PersonChanged, PersonReactivated, PersonRemoved, PersonSuspended
from codetect_shared.outbox import tell
from codetect_shared.problems import BadInput, Conflict
from codetect_shared.tokens import Role
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import clients, people, sessions
from codetect_auth.access.steps import By, record
from codetect_auth.context import Auth
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import AccessRequest, Base, Facility, Invitation, Person, Status
from codetect_auth.refusing import refuse_access_tokens

STAY = {"terms_acceptances"}  # ids and times alone
FORGOTTEN = ""


class LastAdmin(Conflict):
    """A facility keeps at least one active admin: make somebody else an admin first."""


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

    It holds from their next refresh, for which they are made to ask within a minute. Raises NotFound, LastAdmin.
    """
    person = await _locked(session, which)
    if rights is not None:
        await _set_rights(auth, session, person, rights, by)
    if role is not None and role != person.role:
        await _set_role(auth, session, person, role, by)
    if status is not None and status != person.status:
        await _set_status(auth, session, person, status, by)
    return person


async def remove(auth: Auth, session: AsyncSession, which: ColumnElement[bool], by: By) -> None:
    """Let somebody go: what they prove themselves with is deleted, name and address are forgotten, the id stays."""
    person = await _locked(session, which)
    await _must_leave_an_admin(session, person)
    await _mail(auth, session, person, "removed", by)
    await sessions.end_all(session, person, "removed")
    await clients.refuse_owned_by(session, person, revoke=True)
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
    await record(session, person.facility_id, "person", person.id, "removed", by, was=was, now=Status.REMOVED)
    await tell(session, person, PersonRemoved(person_id=person.id, removed_by=by.id))


async def _locked(session: AsyncSession, which: ColumnElement[bool]) -> Person:
    """The person, while nobody else changes the facility's people. Raises NotFound."""
    await session.execute(select(Facility.id).where(Facility.id == _FACILITY).with_for_update(key_share=True))
    return await people.find_person(session, which & (Person.status != Status.REMOVED))


_FACILITY = func.current_setting("codetect.facility").cast(Facility.id.type)


async def _must_leave_an_admin(session: AsyncSession, person: Person) -> None:
    """Raises LastAdmin when there is no other who could do what `person` can; the same holds for operators."""
    if person.role not in (Role.ADMIN, Role.OPERATOR) or person.status != Status.ACTIVE:
        return
    others = Person.role == person.role, Person.status == Status.ACTIVE, Person.id != person.id
    if await session.scalar(select(Person.id).where(*others).limit(1)) is None:
        raise LastAdmin


async def _set_rights(auth: Auth, session: AsyncSession, person: Person, rights: Iterable[str], by: By) -> None:
    before = list(person.rights)
    await people.change_rights(session, person, rights, by.id)
    if before != person.rights:
        was, now = " ".join(before), " ".join(person.rights)
        await record(session, person.facility_id, "person", person.id, "rights", by, was=was, now=now)
        await refuse_access_tokens(session, person.facility_id, person.id)
        await _mail(auth, session, person, "rights", by)


async def _set_role(auth: Auth, session: AsyncSession, person: Person, role: Role, by: By) -> None:
    if Role.OPERATOR in (role, person.role) or role is Role.API_CLIENT:
        raise BadInput("A person's role is admin, member or viewer; operators are invited as such.")
    await _must_leave_an_admin(session, person)
    was, person.role = person.role, role.value
    await record(session, person.facility_id, "person", person.id, "role", by, was=was, now=role.value)
    await tell(session, person, PersonChanged(person_id=person.id, changed_by=by.id))
    await refuse_access_tokens(session, person.facility_id, person.id)
    await _mail(auth, session, person, "role", by)


async def _set_status(auth: Auth, session: AsyncSession, person: Person, status: Status, by: By) -> None:
    was, suspended = person.status, status is Status.SUSPENDED
    if suspended:
        await _must_leave_an_admin(session, person)
        await sessions.end_all(session, person, "suspended")
        await clients.refuse_owned_by(session, person)
    person.status = status.value
    await record(session, person.facility_id, "person", person.id, status.value, by, was=was, now=status.value)
    told = PersonSuspended if suspended else PersonReactivated
    await tell(session, person, told(person_id=person.id, changed_by=by.id))
    await _mail(auth, session, person, status.value, by)


async def _mail(auth: Auth, session: AsyncSession, person: Person, what: str, by: By) -> None:
    cause, key = f"person/{person.id}/{what}/{uuid7()}", auth.settings.master_key
    await ask(session, key, person.facility_id, Kind.MEMBER_CHANGED, person.email, cause, what=what, by=by.name)
