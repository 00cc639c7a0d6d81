"""The states of access requests and invitations, the moves there are, and the one function that makes them.

request      unconfirmed -> confirmed -> approved | rejected
             unconfirmed, confirmed -> expired | superseded (the same person came in, or asks, another way)
invitation   open -> accepted | revoked | expired;  expired -> open (sent again)
"""

from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.access.steps import CLOCK, About, By, record
from codetect_auth.models import AccessRequest, Invitation


class RequestState(StrEnum):
    """Where an access request stands."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class InvitationState(StrEnum):
    """Where an invitation stands."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


State = RequestState | InvitationState
MOVES: dict[State, set[State]] = {
    RequestState.UNCONFIRMED: {RequestState.CONFIRMED, RequestState.EXPIRED, RequestState.SUPERSEDED},
    RequestState.CONFIRMED: {
        RequestState.APPROVED,
        RequestState.REJECTED,
        RequestState.EXPIRED,
        RequestState.SUPERSEDED,
    },
    InvitationState.OPEN: {InvitationState.ACCEPTED, InvitationState.REVOKED, InvitationState.EXPIRED},
    InvitationState.EXPIRED: {InvitationState.OPEN},
}
OVER: dict[type[StrEnum], set[State]] = {
    RequestState: {RequestState.REJECTED, RequestState.EXPIRED, RequestState.SUPERSEDED},
    InvitationState: {InvitationState.REVOKED, InvitationState.EXPIRED},
}
KEPT = timedelta(days=90)
SWEPT = 200
Row = TypeVar("Row", AccessRequest, Invitation)


async def move(
    session: AsyncSession, kind: type[Row], to: State, by: By, *which: ColumnElement[bool], reason: str | None = None
) -> Row | None:
    """Move the row that `which` finds, if its state allows it, and write the step down; of two at once one moves it."""
    wanted = select(kind).where(*which, kind.state.in_(_before(kind, to))).with_for_update()
    row = (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()
    if row is not None:
        await _enter(session, row, to, by, reason)
    return row


async def expire(session: AsyncSession) -> int:
    """Move what has run out, of all facilities, to `expired`; how many there were."""
    return await _expire(session, AccessRequest, RequestState.EXPIRED) + await _expire(
        session, Invitation, InvitationState.EXPIRED
    )


async def _expire(session: AsyncSession, kind: type[Row], to: State) -> int:
    late = kind.expires_at < func.clock_timestamp(), kind.state.in_(_before(kind, to))
    lapsed = select(kind).where(*late).limit(SWEPT).with_for_update(skip_locked=True)
    rows = (await session.scalars(lapsed)).all()
    for row in rows:
        await _enter(session, row, to, CLOCK, None)
    return len(rows)


async def forget(session: AsyncSession) -> None:
    """Forget who came to nothing, of all facilities, three months later; the row and its steps stay."""
    for kind, over in ((AccessRequest, OVER[RequestState]), (Invitation, OVER[InvitationState])):
        gone: dict[str, Any] = {"email": "", "name": "", "email_key": func.concat("forgotten:", kind.id)}
        gone |= {"reason": ""} if kind is AccessRequest else {}
        old = kind.state.in_(over), kind.changed_at < func.clock_timestamp() - KEPT, kind.email != ""
        await session.execute(update(kind).where(*old).values(gone))


async def begin(session: AsyncSession, row: AccessRequest | Invitation, by: By) -> None:
    """Enter a new row, in its first state."""
    session.add(row)
    await session.flush()
    await record(session, row.facility_id, _about(row), row.id, row.state, by, now=row.state)


def _before(kind: type[AccessRequest] | type[Invitation], to: State) -> list[str]:
    mine = RequestState if kind is AccessRequest else InvitationState
    return [state.value for state, following in MOVES.items() if to in following and isinstance(state, mine)]


async def _enter(session: AsyncSession, row: AccessRequest | Invitation, to: State, by: By, reason: str | None) -> None:
    was, row.state, row.changed_at = row.state, to.value, func.clock_timestamp()
    await record(session, row.facility_id, _about(row), row.id, to.value, by, was=was, now=to.value, reason=reason)


def _about(row: AccessRequest | Invitation) -> About:
    return "access_request" if isinstance(row, AccessRequest) else "invitation"
