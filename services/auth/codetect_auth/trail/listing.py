"""Rows of a facility's chain, newest first, by filters."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from codetect_shared.db import Database
from codetect_shared.problems import BadInput
from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.trail.tables import chain, findings, heads, held

AT_ONCE = 500


class CursorInvalid(BadInput):
    """This cursor isn't one of ours."""


@dataclass(frozen=True)
class Filters:
    """Which rows; what is None doesn't matter. `since` is included, `until` isn't."""

    since: datetime | None = None
    until: datetime | None = None
    subject: str | None = None
    action: str | None = None
    outcome: str | None = None
    study: UUID | None = None
    target: str | None = None
    service: str | None = None

    def named(self) -> list[str]:
        """What is filtered by, without the values."""
        return [name for name, value in vars(self).items() if value is not None]

    def where(self, facility_id: UUID) -> list[ColumnElement[bool]]:
        """As conditions."""
        c = chain.c
        equal = {
            "subject": self.subject,
            "action": self.action,
            "outcome": self.outcome,
            "study_id": self.study and str(self.study),
            "target": self.target,
            "service": self.service,
        }
        found = [c.facility_id == facility_id, *(c[name] == value for name, value in equal.items() if value)]
        # Times stand as text of one length, so their order is that of the texts.
        if self.since:
            found.append(c.at >= _text(self.since))
        if self.until:
            found.append(c.at < _text(self.until))
        return found


async def page(
    session: AsyncSession, facility_id: UUID, filters: Filters, cursor: str | None, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """A page of rows, and the cursor of the next. Raises CursorInvalid."""
    wanted = _wanted(facility_id, filters, _place(cursor) if cursor else None, limit + 1)
    rows = (await session.execute(wanted)).all()
    more = len(rows) > limit
    return rows[:limit], _cursor(rows[limit - 1].number) if more else None


async def batches(db: Database, facility_id: UUID, filters: Filters) -> AsyncIterator[Sequence[Row[Any]]]:
    """All rows, in short transactions however slowly they are taken."""
    before = None
    while True:
        async with db.facility(facility_id) as session:
            rows = (await session.execute(_wanted(facility_id, filters, before, AT_ONCE))).all()
        yield rows
        if len(rows) < AT_ONCE:
            return
        before = rows[-1].number


async def state(session: AsyncSession, facility_id: UUID) -> tuple[Row[Any] | None, Sequence[Row[Any]], int]:
    """The chain's head, what is missing or came twice, and how many rows wait for one that is missing."""
    head = (await session.execute(select(heads).where(heads.c.facility_id == facility_id))).one_or_none()
    f = findings.c
    mine = f.facility_id == facility_id, f.closed_at.is_(None)
    found = (await session.execute(select(findings).where(*mine).order_by(f.id.desc()).limit(200))).all()
    waiting = select(func.count()).select_from(held).where(held.c.facility_id == facility_id)
    return head, found, (await session.execute(waiting)).scalar_one()


def _wanted(facility_id: UUID, filters: Filters, before: int | None, limit: int) -> Select[Any]:
    c = chain.c
    wanted = select(c.number, c.event_id, c.record, c.hash).where(*filters.where(facility_id))
    if before is not None:
        wanted = wanted.where(c.number < before)
    return wanted.order_by(c.number.desc()).limit(limit)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(8, "big")).rstrip(b"=").decode()


def _place(cursor: str) -> int:
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise CursorInvalid from None
    if len(data) != 8 or data[0] > 127:
        raise CursorInvalid
    return int.from_bytes(data, "big")
