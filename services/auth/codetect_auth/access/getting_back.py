"""Another password: changed by who knows the old one, or set with a mailed link. Neither touches the second factor."""

from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.events import PersonSecured
from codetect_shared.problems import BadInput, Conflict, Unauthenticated
from codetect_shared.tokens import Principal
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import recording, revocations, sessions, steps, strength, throttle
from codetect_auth.access import links
from codetect_auth.access.steps import LINK, By, record
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import Facility, PasswordReset, Person, Status
from codetect_auth.people import email_key


class OldPasswordWrong(BadInput):
    """The old password is wrong."""


class PasswordChangedMeanwhile(Conflict):
    """The password was changed by another request; log in again."""


async def change(auth: Auth, caller: Caller, principal: Principal, old: str, new: str) -> None:
    """Set another password, knowing the old one; all other logins end. Raises OldPasswordWrong, PasswordRefused."""
    id = UUID(principal.subject)
    key = f"password:{id}"
    async with auth.db.system() as session:
        await throttle.take(session, key, throttle.ACCOUNT)
    async with auth.db.facility(principal.facility_id) as session:
        person = await session.get(Person, id)
        facility = await session.get_one(Facility, principal.facility_id)
    if person is None or person.status != Status.ACTIVE or person.password_hash is None:
        raise Unauthenticated
    if not await auth.passwords.verify(person.password_hash, old):
        raise OldPasswordWrong
    await _must_be_new_and_strong(auth, facility, person, new)
    password_hash = await auth.passwords.hash(new)
    async with auth.db.facility(facility.id) as session:
        same = Person.id == id, Person.password_hash == person.password_hash, Person.status == Status.ACTIVE
        row = (await session.scalars(select(Person).where(*same).with_for_update())).one_or_none()
        if row is None:
            raise PasswordChangedMeanwhile
        await throttle.clear(session, key)
        me = By(principal.role.value, id, principal=principal)
        await _set(auth, session, row, password_hash, caller, me, keep=principal.session_id)


async def ask_for_reset(auth: Auth, caller: Caller, email: str) -> None:
    """Mail a link to who belongs here; nobody learns from this whether somebody does."""
    facility = links.open_facility(caller)
    async with links.evenly():
        if not await links.may_write_to(auth, caller, facility, "reset", email):
            return
        async with auth.db.facility(facility.id) as session:
            known = Person.email_key == email_key(email), Person.status == Status.ACTIVE
            person = (await session.scalars(select(Person).where(*known))).one_or_none()
            if person is None:
                return
            token, id = opaque_token(), uuid7()
            expires_at = func.clock_timestamp() + links.RESET_LASTS
            ids = {"id": id, "facility_id": facility.id, "person_id": person.id}
            session.add(PasswordReset(**ids, token_hash=token_hash(token), expires_at=expires_at))
            await record(session, facility.id, "person", person.id, "password reset asked", By("nobody"))
            url, key = links.link(auth, facility, "access/reset", token), auth.settings.master_key
            await ask(session, key, facility.id, Kind.PASSWORD_RESET, person.email, f"reset/{id}", url=url)


async def reset(auth: Auth, caller: Caller, token: str, password: str) -> None:
    """Set another password with a mailed link; all logins end, and the next one asks for the second factor as ever.

    Raises LinkGone, PasswordRefused.
    """
    facility = links.open_facility(caller)
    now = func.clock_timestamp()
    usable = PasswordReset.token_hash == token_hash(token), PasswordReset.used_at.is_(None)
    async with links.trying(auth, caller):
        async with auth.db.facility(facility.id) as session:
            id = await session.scalar(select(PasswordReset.person_id).where(*usable, PasswordReset.expires_at > now))
            person = await session.get(Person, id) if id else None
        if person is None or person.status != Status.ACTIVE:
            raise links.LinkGone
        await _must_be_new_and_strong(auth, facility, person, password)
        password_hash = await auth.passwords.hash(password)
        async with auth.db.facility(facility.id) as session:
            row = await session.get_one(Person, person.id, with_for_update=True)
            spend = update(PasswordReset).where(*usable, PasswordReset.expires_at > now).values(used_at=now)
            used = (await session.execute(spend.returning(PasswordReset.id))).first()
            if used is None or row.status != Status.ACTIVE:
                raise links.LinkGone
            await throttle.clear(session, throttle.account_key(str(facility.id), row.email_key, None))
            await _set(auth, session, row, password_hash, caller, LINK)


async def _must_be_new_and_strong(auth: Auth, facility: Facility, person: Person, password: str) -> None:
    await strength.must_be_strong(auth, password, (person.email, person.name, facility.name, facility.slug))


async def _void(session: AsyncSession, person: Person) -> None:
    """What hangs on the old password: mailed links, and logins that stand before their second step."""
    unused = PasswordReset.person_id == person.id, PasswordReset.used_at.is_(None)
    await session.execute(update(PasswordReset).where(*unused).values(used_at=func.clock_timestamp()))
    await steps.end_all(session, person)


async def _set(
    auth: Auth,
    session: AsyncSession,
    person: Person,
    password_hash: str,
    caller: Caller,
    by: By,
    keep: UUID | None = None,
) -> None:
    """The person's row is locked by the caller: all that follows from it is locked after it."""
    person.password_hash = password_hash
    await _void(session, person)
    await sessions.end_sessions(session, person.id, "the password was changed", but=keep)
    if keep is None:
        await revocations.refuse(session, person.facility_id, person.id)
    await record(session, person.facility_id, "person", person.id, "password set", by)
    await recording.record(session, by.principal, "password.set", person, PersonSecured(person_id=person.id))
    cause, key = f"password/{person.id}/{uuid7()}", auth.settings.master_key
    facts = {"address": caller.address, "device": caller.device}
    await ask(session, key, person.facility_id, Kind.PASSWORD_CHANGED, person.email, cause, **facts)
