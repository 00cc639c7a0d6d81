"""Shadow analyses: a candidate reads the same studies, nobody sees what it finds, operators see how it compares.

A shadow's row belongs to a facility of its own beside the real one, to which nobody has a token: whatever lists, draws,
counts or exports a facility's analyses can't come upon it (docs/adr/0059).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid5

from codetect_shared.db import SET_FACILITY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


def hidden_facility(facility_id: UUID) -> UUID:
    """Whom the shadows of a facility's analyses belong to."""
    return uuid5(facility_id, "codetect.shadows")


@asynccontextmanager
async def behind(session: AsyncSession, facility_id: UUID) -> AsyncIterator[UUID]:
    """Within, a session of this facility sees and writes its shadows, and nothing else."""
    hidden = hidden_facility(facility_id)
    await session.flush()
    await session.execute(SET_FACILITY, {"facility": str(hidden)})
    yield hidden
    await session.flush()
    await session.execute(SET_FACILITY, {"facility": str(facility_id)})


# Pairs of results of one version of a study: what was shown, and what the candidate found. Sums leave the database.
COMPARE = text("""
    WITH pairs AS (
        SELECT shown.facility_id, shown.model_version AS against, shown.findings AS shown, hidden.findings AS hidden
        FROM analyses AS hidden
        JOIN analyses AS shown
          ON shown.facility_id = hidden.shadow_for AND shown.study_id = hidden.study_id
         AND shown.study_version = hidden.study_version AND shown.model_name = hidden.model_name
         AND shown.model_id <> hidden.model_id AND shown.status = 'completed'
        WHERE hidden.model_id = :model_id AND hidden.shadow_for IS NOT NULL AND hidden.status = 'completed'
    ), labels AS (
        SELECT facility_id, against, s ->> 'label' AS label,
               (s ->> 'probability')::float8 AS p, (h ->> 'probability')::float8 AS q,
               (s ->> 'positive')::boolean AS was, (h ->> 'positive')::boolean AS would_be
        FROM pairs, jsonb_array_elements(shown) AS s, jsonb_array_elements(hidden) AS h
        WHERE s ->> 'label' = h ->> 'label'
    )
    SELECT facility_id, against, label, count(*) AS studies,
           avg((was = would_be)::int)::float8 AS agreement, avg(abs(p - q))::float8 AS mean_absolute_difference,
           count(*) FILTER (WHERE was) AS positive_shown, count(*) FILTER (WHERE would_be) AS positive_candidate,
           count(*) FILTER (WHERE was AND would_be) AS positive_both
    FROM labels GROUP BY facility_id, against, label ORDER BY against, label, facility_id
""")
STATES = text("""
    SELECT shadow_for AS facility_id, status, count(*) AS analyses FROM analyses
    WHERE model_id = :model_id AND shadow_for IS NOT NULL GROUP BY shadow_for, status ORDER BY shadow_for, status
""")


async def compared(session: AsyncSession, model_id: UUID) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """How a candidate compares, by facility, shown version and label; and how many of its analyses stand where.

    For a system session: it looks across facilities, and gives counts and means only.
    """
    pairs = (await session.execute(COMPARE, {"model_id": model_id})).mappings()
    states = (await session.execute(STATES, {"model_id": model_id})).mappings()
    return [dict(row) for row in pairs], [dict(row) for row in states]
