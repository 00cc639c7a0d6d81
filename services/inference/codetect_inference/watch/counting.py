"""A study's counts are added to the day's, in the transaction of its result."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.models import Analysis
from codetect_inference.watch.measures import Tallies

ADD = text("""
    INSERT INTO watched AS w (facility_id, model_name, model_version, day, measure, shadow, bins, studies)
    VALUES (:facility_id, :model_name, :model_version, (clock_timestamp() AT TIME ZONE 'UTC')::date, :measure, :shadow,
            CAST(:bins AS bigint[]), 1)
    ON CONFLICT (facility_id, model_name, model_version, day, measure, shadow) DO UPDATE SET
        studies = w.studies + 1,
        bins = ARRAY(SELECT a + b FROM unnest(w.bins, excluded.bins) WITH ORDINALITY AS u (a, b, n) ORDER BY n)
""")


async def count(session: AsyncSession, analysis: Analysis, counts: Tallies) -> None:
    """Add a study's counts, a shadow's apart; in one order, so that two at once don't wait in a circle."""
    facts = {
        "facility_id": analysis.facility_id,
        "model_name": analysis.model_name,
        "model_version": analysis.model_version,
        "shadow": analysis.shadow_for is not None,
    }
    for measure in sorted(counts):
        await session.execute(ADD, facts | {"measure": measure, "bins": list(counts[measure])})
