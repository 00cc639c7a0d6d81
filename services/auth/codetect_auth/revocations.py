"""Refusing access tokens that haven't run out: who logged out, was suspended, has another role (docs/adr/0045).

`since` is a clock that never goes back: a token is issued later than whatever refuses its holder (`moment`), and a
refusal is later than whatever was issued (`refuse`). Who issues holds the rows of facility and subject, who refuses
waits for them, so that neither slips past the other. Rows are locked in this order: facility, person or API client,
login.
"""

from typing import Any
from uuid import UUID

from codetect_shared.events import AccessRefused, SessionEnded
from codetect_shared.outbox import tell
from codetect_shared.tokens import LEEWAY_S, LIFETIME_S
from sqlalchemy import BigInteger, ColumnElement, cast, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import ApiClient, Facility, Person, Refusal, Session, Status

# One token's life, and what clocks may differ by or `since` run ahead.
KEPT_S = LIFETIME_S + 60
assert KEPT_S > LIFETIME_S + 2 * LEEWAY_S


async def refuse(
    session: AsyncSession, facility_id: UUID, subject: UUID | None = None, session_id: UUID | None = None
) -> None:
    """Have access tokens issued until now refused everywhere within a minute, and WebSockets closed, by this commit.

    Of one login (which the caller has ended), of one person or API client, or, naming neither, of the whole facility.
    """
    if session_id:
        login = await session.get_one(Session, session_id)
        session.add(Refusal(facility_id=facility_id, session_id=session_id, since=await _second(session)))
        await tell(session, login, SessionEnded(session_id=session_id, person_id=login.person_id))
        return
    if subject:
        for table in (Person, ApiClient):
            await session.execute(select(table.id).where(table.id == subject).with_for_update(key_share=True))
        since = await moment(session, facility_id, subject)
    else:
        await session.execute(select(Facility.id).where(Facility.id == facility_id).with_for_update(key_share=True))
        since = await _after(session, Refusal.facility_id == facility_id)
    row = Refusal(facility_id=facility_id, subject=subject, since=since)
    session.add(row)
    await tell(session, row, AccessRefused(subject=subject, since=since))


async def hold_facility(session: AsyncSession, facility_id: UUID) -> bool:
    """Whether the facility's people may work; it isn't suspended before this transaction has ended."""
    statement = select(Facility.status).where(Facility.id == facility_id).with_for_update(read=True)
    return (await session.execute(statement)).scalar_one_or_none() == Status.ACTIVE


async def moment(session: AsyncSession, facility_id: UUID, subject: UUID) -> int:
    """When a token of `subject` is issued now: seconds since 1970, after all that refuses it."""
    theirs = or_(Refusal.subject == subject, Refusal.subject.is_(None))
    return await _after(session, Refusal.facility_id == facility_id, theirs)


async def refused(session: AsyncSession) -> list[dict[str, Any]]:
    """All that some token may still meet, for the services."""
    rows = await session.scalars(select(Refusal).where(Refusal.since > await _second(session) - KEPT_S))
    return [
        {
            "facility": str(row.facility_id),
            "subject": row.subject and str(row.subject),
            "session": row.session_id and str(row.session_id),
            "since": row.since,
        }
        for row in rows.all()
    ]


async def sweep(session: AsyncSession) -> None:
    """Forget what no token can meet any more."""
    await session.execute(delete(Refusal).where(Refusal.since < await _second(session) - KEPT_S))


async def _after(session: AsyncSession, *which: ColumnElement[bool]) -> int:
    last = select(func.max(Refusal.since)).where(Refusal.session_id.is_(None), *which)
    return max(await _second(session), ((await session.scalar(last)) or 0) + 1)


async def _second(session: AsyncSession) -> int:
    seconds = func.floor(func.extract("epoch", func.clock_timestamp()))
    return int((await session.execute(select(cast(seconds, BigInteger)))).scalar_one())
