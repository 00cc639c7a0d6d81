"""What a consumer has applied already: a row in the transaction of the effect, kept 7 days or more."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

KEPT_DAYS = 14

inbox = Table(
    "inbox",
    MetaData(),
    Column("queue", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp(), index=True),
)


async def first_time(session: AsyncSession, queue: str, event_id: UUID) -> bool:
    """Note that `queue` applies this event now; False when it did before."""
    statement = insert(inbox).values(queue=queue, event_id=event_id).on_conflict_do_nothing().returning(inbox.c.queue)
    return (await session.execute(statement)).first() is not None


async def first_times(session: AsyncSession, queue: str, event_ids: Sequence[UUID]) -> set[UUID]:
    """As `first_time`, for many: those that `queue` applies for the first time."""
    values = [{"queue": queue, "event_id": event_id} for event_id in dict.fromkeys(event_ids)]
    statement = insert(inbox).values(values).on_conflict_do_nothing().returning(inbox.c.event_id)
    return set(await session.scalars(statement))
