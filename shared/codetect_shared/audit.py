"""The audit trail: who looked at or changed what, written in the transaction of what it records.

Rows are numbered per facility without gaps, so that one that went missing shows. When a row can't be written, what it
would have recorded doesn't happen.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_shared.tokens import Principal

audit = Table(
    "audit",
    MetaData(),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("facility_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("study_id", Uuid),
    Column("outcome", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    UniqueConstraint("facility_id", "sequence"),
)


async def record(
    session: AsyncSession,
    who: Principal,
    action: str,
    *,
    study_id: UUID | None = None,
    outcome: str = "success",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one row: `action` is the field's own (`identity.read`, `study.erase`), `detail` small facts, never PHI.

    Of two transactions at once in one facility the second waits for the first, so that numbers have no gaps.
    """
    await record_each(session, who, action, [study_id], outcome=outcome, detail=detail)


async def record_each(
    session: AsyncSession,
    who: Principal,
    action: str,
    study_ids: Sequence[UUID | None],
    *,
    outcome: str = "success",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one row for each of these studies, as `record` does."""
    if not study_ids:
        return
    lock = f"audit/{who.facility_id}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock, 0))))
    newest = select(func.coalesce(func.max(audit.c.sequence), 0)).where(audit.c.facility_id == who.facility_id)
    last = (await session.scalars(newest)).one()
    rows = [
        {
            "facility_id": who.facility_id,
            "sequence": number,
            "subject": who.subject,
            "role": who.role.value,
            "action": action,
            "study_id": study_id,
            "outcome": outcome,
            "detail": detail or {},
        }
        for number, study_id in enumerate(study_ids, last + 1)
    ]
    await session.execute(insert(audit), rows)
