"""Erased studies leave the kept events: what is counted stays, and no id in it leads anywhere any more.

In rounds of its own beside the projector, since it must not meet a rebuild that has folded half of an analysis.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import Database
from codetect_shared.events import UploadImported
from codetect_shared.forgetting import forgotten, forgotten_subject, stranger
from sqlalchemy import Text, and_, cast, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_analytics import models, rebuild

BATCH = 500
KEY_KEPT = timedelta(days=topology.LOG_DAYS + 1)  # while the stream may still bring something late
HERE = text(f"SELECT to_regclass('{models.FIGURES}.latest') IS NOT NULL")
e, x = models.events.c, models.erasures.c
STUDY = cast(x.study_id, Text)
# Apart, so that each finds its rows by its own index.
TRACES = (
    e.data["study_id"].astext == STUDY,
    and_(e.type == UploadImported.type, e.data["studies"].contains(func.to_jsonb(STUDY))),
)


async def forget_erased(db: Database) -> None:
    """Take every erased study out of the events, and out of what of the figures goes by analysis."""
    while await _some(db):
        pass
    async with db.system() as session:
        await session.execute(delete(models.erasures).where(x.at < datetime.now(UTC) - KEY_KEPT))


async def _some(db: Database) -> bool:
    """One transaction's part; False when nothing is left, or a rebuild is at work."""
    async with db.system() as session:
        if not await session.scalar(select(func.pg_try_advisory_xact_lock(rebuild.LOCK))):
            return False
        await session.execute(text("SELECT 1 FROM cursor FOR UPDATE"))  # no projector adds events meanwhile
        found: list[Any] = []
        for trace in TRACES:
            wanted = select(e.position, e.type, e.subject, e.data, x.study_id, x.key)
            wanted = wanted.join(models.erasures, trace).ext(distinct_on(e.position)).limit(BATCH)
            found += (await session.execute(wanted)).all()
        known = {(analysis_id, row.key) for row in found if (analysis_id := _analysis_of(row.data))}
        for analysis_id, key in known if await session.scalar(HERE) else ():
            await _rename(session, analysis_id, stranger(analysis_id, key))
        for row in found:
            left = {
                "subject": forgotten_subject(row.type, row.subject, row.key),
                "data": forgotten(row.data, row.study_id, row.key),
            }
            await session.execute(update(models.events).where(e.position == row.position).values(left))
    return bool(found)


def _analysis_of(data: dict[str, Any]) -> UUID | None:
    try:
        return UUID(data["analysis_id"])
    except (KeyError, TypeError, ValueError, AttributeError):  # of no analysis, or an event that had no figures
        return None


async def _rename(session: AsyncSession, known: UUID, unknown: UUID) -> None:
    """An analysis' newest state gets its new id; where one is there, an event came late, and the newer state stays."""
    latest, states = models.latest, models.states
    rows = (await session.execute(select(latest).where(latest.c.analysis_id.in_([known, unknown])))).all()
    if len(rows) == 2:
        older = min(rows, key=lambda row: row.sequence)
        await session.execute(delete(latest).where(latest.c.analysis_id == older.analysis_id))
        names = ("facility_id", "model", "model_version", "state")
        its = and_(*(states.c[name] == getattr(older, name) for name in names))
        await session.execute(update(states).where(its).values(n=states.c.n - 1))
    await session.execute(update(latest).where(latest.c.analysis_id == known).values(analysis_id=unknown))
