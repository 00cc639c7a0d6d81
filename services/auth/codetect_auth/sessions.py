"""Logins that last: access tokens, rotating refresh tokens, the list of a person's devices.

A refresh token works once; who brings it again ends the login. Except for an answer that got lost (docs/adr/0042): for
`GRACE_S`, and while its successor is unused, it brings that same successor again. Copies that were under way together
with the first are told to wait, so that fifty parallel refreshes are one success.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from codetect_shared.audit import Actor
from codetect_shared.db import uuid7
from codetect_shared.problems import Conflict, NotFound, Unauthenticated
from codetect_shared.tokens import LIFETIME_S, Principal, Role, issue
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import revocations
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.models import Facility, Person, RefreshToken, Session, Status
from codetect_auth.recording import doer, record, stranger

TOGETHER_S = 1
GRACE_S = 10
OPEN = Session.ended_at.is_(None), Session.expires_at > func.clock_timestamp()


class RefreshRefused(Unauthenticated):
    """This login has ended; log in again."""


class RefreshUnderWay(Conflict):
    """This refresh token is being used by another request; if its answer got lost, try again in a second."""

    headers = {"Retry-After": "1"}


@dataclass(frozen=True)
class Tokens:
    """What a program gets (RFC 6749, section 5.1)."""

    access_token: str
    refresh_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int = LIFETIME_S


async def open_session(
    auth: Auth, session: AsyncSession, facility: Facility, person: Person, caller: Caller, method: str
) -> Tokens:
    """A new login of `person`, whose two factors have been checked in this transaction."""
    row = Session(
        id=uuid7(),
        facility_id=facility.id,
        person_id=person.id,
        address=caller.address,
        device=caller.device,
        proven_at=await _now(session),
        expires_at=func.clock_timestamp() + timedelta(days=auth.settings.session_days),
    )
    session.add(row)
    await session.flush()
    await record(session, person, "login", row, session_id=row.id, method=method)
    token = opaque_token()
    _keep(auth, session, row, token, uuid7(), None)
    return Tokens(await access_token(auth, session, facility, person, row), token)


async def refresh(auth: Auth, caller: Caller, token: str) -> Tokens:
    """The next tokens of a login."""
    facility = caller.active_facility()
    if facility is None:
        raise RefreshRefused
    async with auth.db.facility(facility.id) as session:
        allowed = await revocations.hold_facility(session, facility.id)
        owner = (
            select(Person).where(Person.id.in_(select(Session.person_id).where(_of(token)))).with_for_update(read=True)
        )
        person = (await session.scalars(owner)).one_or_none()
        login = (await session.scalars(select(Session).where(_of(token)).with_for_update())).one_or_none()
        if login is None or person is None:
            raise RefreshRefused
        now = await _now(session)
        old = (await session.scalars(select(RefreshToken).where(RefreshToken.token_hash == token_hash(token)))).one()
        over = login.ended_at or min(login.expires_at, old.expires_at) <= now
        if over or not allowed or person.status != Status.ACTIVE:
            raise RefreshRefused
        if old.used_at is None:
            old.used_at, login.used_at, child_id = now, now, uuid7()
            successor = _successor(auth, token, child_id)
            _keep(auth, session, login, successor, child_id, old.id)
            return Tokens(await access_token(auth, session, facility, person, login), successor)
        arrived_after_s = (now - old.used_at).total_seconds() - caller.waited_s
        if arrived_after_s < TOGETHER_S:
            raise RefreshUnderWay
        child = (await session.scalars(select(RefreshToken).where(RefreshToken.parent_id == old.id))).one()
        if arrived_after_s < GRACE_S and child.used_at is None:
            successor = _successor(auth, token, child.id)
            return Tokens(await access_token(auth, session, facility, person, login), successor)
        await _end(session, stranger(facility), "a refresh token was used twice", Session.id == login.id)
    raise RefreshRefused


async def access_token(auth: Auth, session: AsyncSession, facility: Facility, person: Person, login: Session) -> str:
    """An access token of a login; its facility's and its person's rows are locked by the caller."""
    principal = Principal(
        str(person.id),
        facility.id,
        facility.slug,
        Role(person.role),
        frozenset(person.rights),
        login.id,
        issued_at=await revocations.moment(session, facility.id, person.id),
        auth_time=int(login.proven_at.timestamp()),
    )
    return issue(principal, await auth.keys.current(session), issuer=auth.settings.issuer)


async def log_out(auth: Auth, caller: Caller, token: str) -> None:
    """End the login a refresh token belongs to; a token nobody knows is no error."""
    if caller.facility is None:
        return
    async with auth.db.facility(caller.facility.id) as session:
        await _end(session, None, "logged out", _of(token), action="logout")


async def list_sessions(session: AsyncSession, person_id: UUID, idle_hours: int) -> list[Session]:
    """A person's open logins, the latest used first."""
    lately = Session.used_at > func.clock_timestamp() - timedelta(hours=idle_hours)
    mine = select(Session).where(Session.person_id == person_id, *OPEN, lately)
    return list(await session.scalars(mine.order_by(Session.used_at.desc())))


async def end_session(session: AsyncSession, who: Principal, session_id: UUID) -> None:
    """End one of a person's logins."""
    mine = Session.person_id == UUID(who.subject), Session.id == session_id
    if not await _end(session, who, "ended by its owner", *mine):
        raise NotFound


async def end_sessions(
    session: AsyncSession,
    person_id: UUID,
    reason: str = "ended by its owner",
    *,
    who: Principal | Actor | None = None,
    but: UUID | None = None,
) -> None:
    """End all of a person's logins, or all but one; `who` does it, else the person at the door, or a command."""
    others = [Session.id != but] if but else []
    await _end(session, who, reason, Session.person_id == person_id, *others)


async def sweep(session: AsyncSession) -> None:
    """Forget refresh tokens a day after their time, and logins that ended half a year ago with them."""
    now = func.clock_timestamp()
    await session.execute(delete(RefreshToken).where(RefreshToken.expires_at < now - timedelta(days=1)))
    await session.execute(delete(Session).where(Session.expires_at < now - timedelta(days=180)))


def _successor(auth: Auth, token: str, child_id: UUID) -> str:
    """The token that follows `token`: only we can know it, and know it again when `token` comes back."""
    mac = hmac.digest(auth.settings.master_key, b"refresh token" + child_id.bytes + token.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _keep(auth: Auth, session: AsyncSession, login: Session, token: str, id: UUID, parent_id: UUID | None) -> None:
    idle = timedelta(hours=auth.settings.session_idle_hours)
    session.add(
        RefreshToken(
            id=id,
            facility_id=login.facility_id,
            session_id=login.id,
            parent_id=parent_id,
            token_hash=token_hash(token),
            expires_at=func.clock_timestamp() + idle,
        )
    )


def _of(token: str) -> ColumnElement[bool]:
    """The login that a refresh token belongs to."""
    return Session.id.in_(select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash(token)))


async def _end(
    session: AsyncSession,
    who: Principal | Actor | None,
    reason: str,
    *which: ColumnElement[bool],
    action: str = "session.end",
) -> bool:
    """End open logins; their access tokens are refused and their WebSockets closed."""
    ended = {"ended_at": func.clock_timestamp(), "end_reason": reason}
    columns = Session.id, Session.facility_id, Session.person_id
    rows = (await session.execute(update(Session).where(*OPEN, *which).values(ended).returning(*columns))).all()
    for row in rows:
        await revocations.refuse(session, row.facility_id, session_id=row.id)
        by = who if who is not None else doer(await session.get_one(Person, row.person_id))
        await record(session, by, action, f"session/{row.id}", session_id=row.id, why=reason)
    return bool(rows)


async def _now(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now
