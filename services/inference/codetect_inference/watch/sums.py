"""Sums over days. Numbers alone: no study, person or image is in them."""

import datetime
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

SUMS = """
    WITH added AS (
        SELECT {keys}, measure, place, sum(n)::bigint AS n, sum(studies)::bigint AS studies
        FROM watched, unnest(bins) WITH ORDINALITY AS u (n, place)
        WHERE day >= :start AND day < :end AND NOT shadow {which}
        GROUP BY {keys}, measure, place
    )
    SELECT {keys}, measure, array_agg(n ORDER BY place) AS bins, max(studies) AS studies
    FROM added GROUP BY {keys}, measure ORDER BY {keys}, measure
"""
OF_MODEL = text(SUMS.format(keys="model_name", which="AND model_name = :name AND model_version = :version"))
OF_FACILITIES = text(SUMS.format(keys="facility_id, model_name, model_version", which=""))


@dataclass(frozen=True)
class Span:
    """Days from `start` to before `end`, in UTC."""

    start: datetime.date
    end: datetime.date


@dataclass(frozen=True)
class Sum:
    """Counts in a measure's bins, and of how many studies."""

    bins: list[int]
    studies: int


@dataclass(frozen=True)
class Kept:
    """What one facility's counts belong to."""

    facility_id: UUID
    model_name: str
    model_version: str


async def of_model(session: AsyncSession, span: Span, name: str, version: str) -> dict[str, Sum]:
    """A model version's sums by measure, of all facilities whose rows the session sees; shadow runs aside."""
    given = {"start": span.start, "end": span.end, "name": name, "version": version}
    rows = await session.execute(OF_MODEL, given)
    return {row.measure: Sum(list(row.bins), row.studies) for row in rows}


async def of_facilities(session: AsyncSession, span: Span) -> dict[Kept, dict[str, Sum]]:
    """Every facility's sums, by model version and measure."""
    found: dict[Kept, dict[str, Sum]] = {}
    for row in await session.execute(OF_FACILITIES, {"start": span.start, "end": span.end}):
        kept = Kept(row.facility_id, row.model_name, row.model_version)
        found.setdefault(kept, {})[row.measure] = Sum(list(row.bins), row.studies)
    return found
