"""Invitations: mailed, many at once too, sent again, taken back, and accepted with a password and the terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.events import InvitationAccepted, InvitationRevoked, InvitationSent, PersonAdded
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.tokens import Role
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import recording, strength, throttle
from codetect_auth import steps as login_steps
from codetect_auth.access import links, terms
from codetect_auth.access.states import InvitationState, begin, move
from codetect_auth.access.steps import LINK, By, record
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import Facility, Invitation, Person, Purpose
from codetect_auth.people import OPERATORS, PersonExists, email_key

MOST_AT_ONCE = 200
SENDING = throttle.Policy(free=5, first_s=60)
Result = Literal["invited", "already_invited", "already_member", "refused"]


class AlreadyInvited(Conflict):
    """There is an open invitation for this address; send that one again, or take it back first."""


class InvitationClosed(Conflict):
    """This invitation was accepted or taken back."""


@dataclass(frozen=True)
class Wanted:
    """Somebody to invite, as an admin wrote it."""

    email: str
    name: str
    role: str


@dataclass(frozen=True)
class Outcome:
    """What became of one of them."""

    email: str
    outcome: Result
    detail: str | None = None
    invitation: Invitation | None = None


async def invite(
    auth: Auth, session: AsyncSession, facility: Facility, wanted: Sequence[Wanted], by: By, only: Role | None = None
) -> list[Outcome]:
    """Invite each of these, `only` with this role, and say what became of each. Raises BadInput for too many."""
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise BadInput(f"1 to {MOST_AT_ONCE} people are invited at once; these are {len(wanted)}.")
    # Always in one order, so that two lists at once don't wait for each other.
    for key in sorted({email_key(each.email) for each in wanted}):
        await links.hold(session, facility.id, key)
    return [await _outcome(auth, session, facility, each, by, only) for each in wanted]


async def _outcome(
    auth: Auth, session: AsyncSession, facility: Facility, wanted: Wanted, by: By, only: Role | None
) -> Outcome:
    try:
        email, role = links.valid_address(facility, wanted.email), _role(facility, wanted.role, only)
        if not wanted.name.strip() or not wanted.name.isprintable() or len(wanted.name) > 200:
            raise BadInput("A name has 1 to 200 printable characters.")
        row = await open_invitation(auth, session, facility, email, wanted.name.strip(), role, by)
    except AlreadyInvited as known:
        return Outcome(wanted.email, "already_invited", known.title())
    except PersonExists as known:
        return Outcome(wanted.email, "already_member", known.title())
    except BadInput as refused:
        return Outcome(wanted.email, "refused", refused.detail or refused.title())
    return Outcome(email, "invited", None, row)


async def open_invitation(
    auth: Auth,
    session: AsyncSession,
    facility: Facility,
    email: str,
    name: str,
    role: Role,
    by: By,
    request_id: UUID | None = None,
) -> Invitation:
    """One invitation, mailed; the caller holds `links.hold`. Raises AlreadyInvited, PersonExists."""
    key = email_key(email)
    if await session.scalar(select(Person.id).where(Person.email_key == key)):
        raise PersonExists
    standing = Invitation.email_key == key, Invitation.state == InvitationState.OPEN
    if open_one := (await session.scalars(select(Invitation).where(*standing))).one_or_none():
        late = Invitation.id == open_one.id, Invitation.expires_at <= func.clock_timestamp()
        if not await move(session, Invitation, InvitationState.EXPIRED, by, *late):
            raise AlreadyInvited
        await session.flush()
    row = Invitation(
        id=uuid7(),
        facility_id=facility.id,
        email=email,
        email_key=key,
        name=name,
        role=role.value,
        state=InvitationState.OPEN,
        invited_by=by.id,
        inviter=by.name,
        request_id=request_id,
        sent=0,
    )
    token = _new_link(row)
    await begin(session, row, by)
    await _send(auth, session, facility, row, token, by)
    await session.refresh(row)
    return row


async def list_invitations(
    session: AsyncSession, state: InvitationState | None, after: UUID | None, limit: int
) -> Sequence[Invitation]:
    """The session's facility's invitations, oldest first."""
    statement = select(Invitation).order_by(Invitation.id).limit(limit)
    if state:
        statement = statement.where(Invitation.state == state)
    return (await session.scalars(statement.where(Invitation.id > after) if after else statement)).all()


async def resend(auth: Auth, session: AsyncSession, facility: Facility, invitation_id: UUID, by: By) -> Invitation:
    """A new link for another seven days; the one before is void. Raises NotFound, InvitationClosed, AlreadyInvited."""
    found = await session.get(Invitation, invitation_id)
    if found is None or not found.email:
        raise NotFound("The facility has no such invitation.")
    await links.hold(session, facility.id, found.email_key)
    async with auth.db.system() as counting:
        await throttle.take(counting, f"invitation:{invitation_id}", SENDING)
    expired = Invitation.id == invitation_id, Invitation.state == InvitationState.EXPIRED
    if await session.scalar(select(Person.id).where(Person.email_key == found.email_key)):
        raise PersonExists
    standing = Invitation.email_key == found.email_key, Invitation.state == InvitationState.OPEN
    if await session.scalar(select(Invitation.id).where(*standing, Invitation.id != invitation_id)):
        raise AlreadyInvited
    await move(session, Invitation, InvitationState.OPEN, by, *expired)
    open_one = select(Invitation).where(Invitation.id == invitation_id, Invitation.state == InvitationState.OPEN)
    row = (await session.scalars(open_one.with_for_update())).one_or_none()
    if row is None:
        raise InvitationClosed
    await record(session, facility.id, "invitation", row.id, "sent again", by)
    await _send(auth, session, facility, row, _new_link(row), by)
    await session.refresh(row)
    return row


async def revoke(session: AsyncSession, invitation_id: UUID, by: By) -> None:
    """Take an invitation back: its link is void at once. Raises NotFound, InvitationClosed."""
    if await session.get(Invitation, invitation_id) is None:
        raise NotFound("The facility has no such invitation.")
    row = await move(session, Invitation, InvitationState.REVOKED, by, Invitation.id == invitation_id)
    if row is None:
        raise InvitationClosed
    told = InvitationRevoked(invitation_id=row.id, revoked_by=by.id)
    await recording.record(session, by.principal, "invitation.revoke", row, told)


async def accept(auth: Auth, caller: Caller, token: str, password: str, terms_version: int) -> str:
    """Come in: a token to set up the second factor with, without which there is no way on.

    Raises LinkGone, TermsChanged, PasswordRefused, PersonExists.
    """
    facility = links.open_facility(caller)
    usable = Invitation.token_hash == token_hash(token), Invitation.expires_at > func.clock_timestamp()
    async with links.trying(auth, caller):
        async with auth.db.facility(facility.id) as session:
            standing = *usable, Invitation.state == InvitationState.OPEN
            invitation = (await session.scalars(select(Invitation).where(*standing))).one_or_none()
            if invitation is None:
                raise links.LinkGone
            await terms.must_be_in_force(session, terms_version)
        about = (invitation.email, invitation.name, facility.name, facility.slug)
        await strength.must_be_strong(auth, password, about)
        password_hash = await auth.passwords.hash(password)
        async with auth.db.facility(facility.id) as session:
            await links.hold(session, facility.id, invitation.email_key)
            row = await move(session, Invitation, InvitationState.ACCEPTED, LINK, *usable)
            if row is None:
                raise links.LinkGone
            if await session.scalar(select(Person.id).where(Person.email_key == row.email_key)):
                raise PersonExists
            person = await _become(session, facility, row, password_hash, terms_version)
            return login_steps.start(session, person, Purpose.ENROL)


async def _become(
    session: AsyncSession, facility: Facility, row: Invitation, password_hash: str, terms_version: int
) -> Person:
    person = Person(
        id=uuid7(),
        facility_id=facility.id,
        email=row.email,
        email_key=row.email_key,
        name=row.name,
        role=row.role,
        password_hash=password_hash,
        rights=[],
    )
    session.add(person)
    await session.flush()
    row.accepted_by = person.id
    await recording.record(session, None, "person.add", person, PersonAdded(person_id=person.id, role=person.role))
    told = InvitationAccepted(invitation_id=row.id, person_id=person.id)
    await recording.record(session, None, "invitation.accept", row, told)
    await terms.keep(session, person, terms_version)
    return person


def _new_link(row: Invitation) -> str:
    token = opaque_token()
    row.token_hash, row.expires_at = token_hash(token), func.clock_timestamp() + links.INVITATION_LASTS
    row.sent += 1
    return token


async def _send(auth: Auth, session: AsyncSession, facility: Facility, row: Invitation, token: str, by: By) -> None:
    told = InvitationSent(invitation_id=row.id, role=row.role, invited_by=by.id)
    await recording.record(session, by.principal, "invitation.send", row, told, role=row.role)
    url, cause = links.link(auth, facility, "access/join", token), f"invitation/{row.id}/{row.sent}"
    key = auth.settings.master_key
    await ask(session, key, facility.id, Kind.INVITATION, row.email, cause, url=url, invited_by=by.name)


def _role(facility: Facility, text: str, only: Role | None) -> Role:
    allowed = [Role.OPERATOR] if facility.slug == OPERATORS else [Role.ADMIN, Role.MEMBER, Role.VIEWER]
    allowed = [role for role in allowed if only in (None, role)]
    named = text.strip().casefold()
    if named not in [role.value for role in allowed]:
        raise BadInput(f"A role is one of {', '.join(allowed)}.")
    return Role(named)
