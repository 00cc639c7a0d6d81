"""Asking to belong to a facility: asked, confirmed from one's mailbox, decided by an admin."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.events import RequestApproved, RequestConfirmed, RequestRejected
from codetect_shared.problems import BadInput, Conflict, Forbidden, NotFound
from codetect_shared.tokens import Role
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import recording
from codetect_auth.access import invitations, links
from codetect_auth.access.states import InvitationState, RequestState, begin, move
from codetect_auth.access.steps import LINK, By
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import AccessRequest, Facility, Invitation, Person
from codetect_auth.people import OPERATORS, active_heads, email_key

RANK = [Role.VIEWER, Role.MEMBER, Role.ADMIN]


class NoRequestsHere(Forbidden):
    """Operators are invited by operators; nobody asks to become one."""


class RequestDecided(Conflict):
    """This request was decided already, or has run out."""


class Standing(StrEnum):
    """What somebody learns who has confirmed that the mailbox is theirs."""

    WAITING = "waiting"  # the admins have been told
    INVITED = "invited"  # an invitation lies in the mailbox already
    MEMBER = "member"  # belongs to the facility already


async def ask_for_access(auth: Auth, caller: Caller, email: str, name: str, role: Role, reason: str) -> None:
    """Send a link to the address, whoever has it: the same happens in the same time for everybody."""
    facility = links.open_facility(caller)
    if facility.slug == OPERATORS:
        raise NoRequestsHere
    address = links.valid_address(facility, email)
    async with links.evenly():
        if not await links.may_write_to(auth, caller, facility, "request", address):
            return
        token, id = opaque_token(), uuid7()
        async with auth.db.facility(facility.id) as session:
            row = AccessRequest(
                id=id,
                facility_id=facility.id,
                email=address,
                email_key=email_key(address),
                name=name,
                role=role.value,
                reason=reason,
                state=RequestState.UNCONFIRMED,
                token_hash=token_hash(token),
                expires_at=func.clock_timestamp() + links.CONFIRM_LASTS,
            )
            await begin(session, row, By("nobody"))
            url = links.link(auth, facility, "access/confirm", token)
            key = auth.settings.master_key
            await ask(session, key, facility.id, Kind.CONFIRM_ADDRESS, address, f"request/{id}", url=url)


async def confirm(auth: Auth, caller: Caller, token: str) -> Standing:
    """The mailbox is theirs, and the admins get mail. Raises LinkGone."""
    facility = links.open_facility(caller)
    async with links.trying(auth, caller), auth.db.facility(facility.id) as session:
        mine = AccessRequest.token_hash == token_hash(token), AccessRequest.expires_at > func.clock_timestamp()
        key = await session.scalar(select(AccessRequest.email_key).where(*mine))
        if key is None:
            raise links.LinkGone
        await links.hold(session, facility.id, key)
        standing = await _standing(session, key)
        to = RequestState.SUPERSEDED if standing else RequestState.CONFIRMED
        row = await move(session, AccessRequest, to, LINK, *mine, AccessRequest.state == RequestState.UNCONFIRMED)
        if row is None:
            raise links.LinkGone
        if standing is None:
            await _hand_to_admins(auth, session, facility, row)
        return standing or Standing.WAITING


async def _standing(session: AsyncSession, key: str) -> Standing | None:
    """What the owner of an address is here already."""
    if await session.scalar(select(Person.id).where(Person.email_key == key)):
        return Standing.MEMBER
    invited = Invitation.email_key == key, Invitation.state == InvitationState.OPEN
    if await session.scalar(select(Invitation.id).where(*invited, Invitation.expires_at > func.clock_timestamp())):
        return Standing.INVITED
    waits = AccessRequest.email_key == key, AccessRequest.state == RequestState.CONFIRMED
    if await session.scalar(select(AccessRequest.id).where(*waits, AccessRequest.expires_at > func.clock_timestamp())):
        return Standing.WAITING
    return None


async def _hand_to_admins(auth: Auth, session: AsyncSession, facility: Facility, row: AccessRequest) -> None:
    row.expires_at = func.clock_timestamp() + links.DECISION_LASTS
    told = RequestConfirmed(request_id=row.id, role=row.role)
    await recording.record(session, None, "access-request.confirm", row, told)
    url = links.link(auth, facility, f"access/requests/{row.id}")
    facts = {"name": row.name, "email": row.email, "role": row.role, "reason": row.reason, "url": url}
    for admin in await active_heads(session):
        cause = f"request/{row.id}/{admin.id}"
        await ask(session, auth.settings.master_key, facility.id, Kind.ACCESS_REQUESTED, admin.email, cause, **facts)
    others = AccessRequest.email_key == row.email_key, AccessRequest.state == RequestState.UNCONFIRMED
    for id in (await session.scalars(select(AccessRequest.id).where(*others))).all():
        await move(session, AccessRequest, RequestState.SUPERSEDED, LINK, AccessRequest.id == id)


async def list_requests(
    session: AsyncSession, state: RequestState, after: UUID | None, limit: int
) -> Sequence[AccessRequest]:
    """The session's facility's requests in this state, oldest first."""
    statement = select(AccessRequest).where(AccessRequest.state == state).order_by(AccessRequest.id).limit(limit)
    return (await session.scalars(statement.where(AccessRequest.id > after) if after else statement)).all()


async def approve(
    auth: Auth, session: AsyncSession, facility: Facility, request_id: UUID, role: Role | None, by: By
) -> Invitation:
    """Let somebody in, with the role they asked for or a lesser one: an invitation is mailed."""
    asked = await _find(session, request_id)
    role = role or Role(asked.role)
    if RANK.index(role) > RANK.index(Role(asked.role)):
        raise BadInput(f"{asked.role} was asked for; that may be narrowed, not widened.")
    await links.hold(session, facility.id, asked.email_key)
    row = await _decide(session, request_id, RequestState.APPROVED, by)
    told = RequestApproved(request_id=row.id, decided_by=by.id, role=role.value)
    await recording.record(session, by.principal, "access-request.approve", row, told, role=role.value)
    return await invitations.open_invitation(auth, session, facility, row.email, row.name, role, by, row.id)


async def reject(
    auth: Auth, session: AsyncSession, facility: Facility, request_id: UUID, reason: str, by: By
) -> AccessRequest:
    """Refuse, and say why to who asked."""
    await _find(session, request_id)
    row = await _decide(session, request_id, RequestState.REJECTED, by, reason)
    told = RequestRejected(request_id=row.id, decided_by=by.id)
    await recording.record(session, by.principal, "access-request.reject", row, told)
    key, cause = auth.settings.master_key, f"request/{row.id}/refused"
    await ask(session, key, facility.id, Kind.ACCESS_REFUSED, row.email, cause, reason=reason)
    await session.refresh(row)
    return row


async def _find(session: AsyncSession, request_id: UUID) -> AccessRequest:
    """A request that admins know of; one that nobody has confirmed isn't there for them."""
    row = await session.get(AccessRequest, request_id)
    if row is None or row.state == RequestState.UNCONFIRMED:
        raise NotFound("The facility has no such access request.")
    return row


async def _decide(
    session: AsyncSession, request_id: UUID, to: RequestState, by: By, reason: str | None = None
) -> AccessRequest:
    waiting = AccessRequest.id == request_id, AccessRequest.expires_at > func.clock_timestamp()
    row = await move(session, AccessRequest, to, by, *waiting, reason=reason)
    if row is None:
        raise RequestDecided
    return row
