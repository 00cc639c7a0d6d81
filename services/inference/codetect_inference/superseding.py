"""Which analysis of a study by a model stands: a result until another result takes its place, or newer images come.

Of the others, those without a result, the newest stands beside it. Two partial rules of one index hold it (ADR 51).
"""

from uuid import UUID

from codetect_shared.db import one_at_a_time
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.models import Analysis, Status


async def hold(session: AsyncSession, study_id: UUID) -> None:
    """Nobody else settles a study's analyses meanwhile; taken before any of their rows is locked: no two block."""
    await one_at_a_time(session, f"analyses/{study_id}")


async def make_way(session: AsyncSession, asked: Analysis) -> None:
    """Before one is added: older ones without a result are superseded by it, and results of fewer images."""
    older = update(Analysis).where(
        *_same(asked), or_(Analysis.study_version < asked.study_version, Analysis.status != Status.COMPLETED)
    )
    await session.execute(older.where(~Analysis.superseded).values(superseded=True))


async def settle(session: AsyncSession, row: Analysis) -> bool:
    """Of one with a result, before it says so: whether it is superseded; if not, it takes an older result's place."""
    same_images = Analysis.study_version == row.study_version
    newer = or_(
        Analysis.study_version > row.study_version,
        and_(same_images, Analysis.status == Status.COMPLETED, Analysis.id > row.id),
    )
    if row.superseded and await session.scalar(select(exists().where(*_same(row), newer))):
        return True
    older = update(Analysis).where(*_same(row), Analysis.status == Status.COMPLETED, ~Analysis.superseded)
    await session.execute(older.values(superseded=True))
    return False


def _same(row: Analysis) -> tuple[ColumnElement[bool], ...]:
    return Analysis.study_id == row.study_id, Analysis.model_name == row.model_name, Analysis.id != row.id
