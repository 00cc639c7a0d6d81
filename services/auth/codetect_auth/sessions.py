"""Logins that last: access tokens, rotating refresh tokens, the list of a person's devices.

A refresh token works once; who brings it again ends the login. Except for an answer that got lost (docs/adr/0042): for
`GRACE_S`, and while its successor is unused, it brings that same successor again. Copies that were under way together
with the first are told to wait, so that fifty parallel refreshes are one success.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.problems import Conflict, NotFound, Unauthenticated
from codetect_shared.tokens import LIFETIME_S, Principal, Role, issue
from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.models import Facility, Person, RefreshToken, Session, Status
from codetect_auth.refusing import refuse_access_tokens

TOGETHER_S = 1
GRACE_S = 10


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


async def open_session(auth: Auth, session: AsyncSession, facility: Facility, person: Person, caller: Caller) -> Tokens:
    """A new login of `person`, whose two factors have been checked in this transaction."""
    row = Session(
        id=uuid7(),
        facility_id=facility.id,
        person_id=person.id,
        address=caller.address,
        device=caller.device,
        expires_at=func.clock_timestamp() + timedelta(days=auth.settings.session_days),
    )
    session.add(row)
    await session.flush()
    token = opaque_token()
    _keep(auth, session, row, token, uuid7(), None)
    return await _tokens(auth, session, facility, person, row, token)


async def refresh(auth: Auth, caller: Caller, token: str) -> Tokens:
    """The next tokens of a login."""
    facility = caller.active_facility()
    if facility is None:
        raise RefreshRefused
    async with auth.db.facility(facility.id) as session:
        login = (await session.scalars(_family(token).with_for_update())).one_or_none()
        if login is None:
            raise RefreshRefused
        now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        old = (await session.scalars(select(RefreshToken).where(RefreshToken.token_hash == token_hash(token)))).one()
        person = await session.get_one(Person, login.person_id)
        if login.ended_at or min(login.expires_at, old.expires_at) <= now or person.status != Status.ACTIVE:
            raise RefreshRefused
        if old.used_at is None:
            old.used_at, login.used_at, child_id = now, now, uuid7()
            _keep(auth, session, login, _successor(auth, token, child_id), child_id, old.id)
            return await _tokens(auth, session, facility, person, login, _successor(auth, token, child_id))
        arrived_after_s = (now - old.used_at).total_seconds() - caller.waited_s
        if arrived_after_s < TOGETHER_S:
            raise RefreshUnderWay
        child = (await session.scalars(select(RefreshToken).where(RefreshToken.parent_id == old.id))).one()
        if arrived_after_s < GRACE_S and child.used_at is None:
            return await _tokens(auth, session, facility, person, login, _successor(auth, token, child.id))
        login.ended_at, login.end_reason = now, "a refresh token was used twice"
    raise RefreshRefused


async def log_out(auth: Auth, caller: Caller, token: str) -> None:
    """End the login a refresh token belongs to; a token nobody knows is no error."""
    if caller.facility is None:
        return
    async with auth.db.facility(caller.facility.id) as session:
        login = (await session.scalars(_family(token).with_for_update())).one_or_none()
        if login and not login.ended_at:
            login.ended_at, login.end_reason = func.clock_timestamp(), "logged out"


async def list_sessions(session: AsyncSession, person_id: UUID) -> list[Session]:
    """A person's open logins, the latest used first."""
    return list(await session.scalars(select(Session).where(*_open(person_id)).order_by(Session.used_at.desc())))


async def end_session(session: AsyncSession, person_id: UUID, session_id: UUID) -> None:
    """End one of a person's logins."""
    if not await _end(session, person_id, Session.id == session_id):
        raise NotFound


async def end_sessions(session: AsyncSession, person_id: UUID) -> None:
    """End all of a person's logins."""
    await _end(session, person_id)


async def end_all(session: AsyncSession, person: Person, why: str, keep: UUID | None = None) -> None:
    """End somebody's logins for a reason that isn't their wish, but for one to `keep`; their tokens are refused."""
    ended = {"ended_at": func.clock_timestamp(), "end_reason": why}
    others = [Session.id != keep] if keep else []
    statement = update(Session).where(*_open(person.id), *others).values(ended).returning(Session.id)
    over = (await session.scalars(statement)).all()
    if keep is None:
        await refuse_access_tokens(session, person.facility_id, person.id)
    else:
        for id in over:
            await refuse_access_tokens(session, person.facility_id, session_id=id)


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


async def _tokens(
    auth: Auth, session: AsyncSession, facility: Facility, person: Person, login: Session, refresh_token: str
) -> Tokens:
    scopes, role = frozenset(person.rights), Role(person.role)
    principal = Principal(str(person.id), facility.id, facility.slug, role, scopes, login.id)
    key = await auth.keys.current(session)
    return Tokens(issue(principal, key, issuer=auth.settings.issuer), refresh_token)


def _family(token: str) -> Select[Session]:
    mine = select(RefreshToken.session_id).where(RefreshToken.token_hash == token_hash(token))
    return select(Session).where(Session.id.in_(mine))


def _open(person_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return Session.person_id == person_id, Session.ended_at.is_(None), Session.expires_at > func.clock_timestamp()


async def _end(session: AsyncSession, person_id: UUID, *which: ColumnElement[bool]) -> bool:
    ended = {"ended_at": func.clock_timestamp(), "end_reason": "ended by its owner"}
    statement = update(Session).where(*_open(person_id), *which).values(ended).returning(Session.id)
    return (await session.execute(statement)).first() is not None
