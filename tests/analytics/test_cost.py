"""What an event or a chart costs hangs on itself, not on history; counted in pages touched, not in time."""

import json
from datetime import timedelta

import asyncpg
from codetect_analytics import apply, models, queries
from codetect_analytics.queries import Dimension, Metric, Span
from codetect_shared import bus
from sqlalchemy.dialects import postgresql

from tests.analytics.conftest import House
from tests.analytics.stories import START, Story


class Explaining:
    """A connection that does what it is told under EXPLAIN, and adds up the pages it touched."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self.db, self.pages = db, 0

    async def execute(self, statement: str, *arguments: object) -> None:
        rows = await self.db.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
        plan = json.loads(rows[0][0])[0]["Plan"]
        self.pages += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    async def fetch(self, statement: str, *arguments: object) -> list:
        await self.execute(statement, *arguments)
        if statement.lstrip().startswith("INSERT INTO events"):
            return [{"event_id": id_} for id_ in arguments[0]]
        return await self.db.fetch(statement, *arguments)


def counted(envelopes: list[bus.Envelope]) -> list[bus.Envelope]:
    return [e for e in envelopes if "progressed" not in e.type]


async def add(house: House, envelopes: list[bus.Envelope]) -> None:
    """Apply without a stream."""
    db = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
    for start in range(0, len(envelopes), 2000):
        async with db.transaction():
            await apply.count(db, models.FIGURES, await apply.keep(db, envelopes[start : start + 2000]))
    await db.execute("ANALYZE")
    await db.close()


async def test_an_event_costs_the_same_after_any_history(house: House) -> None:
    story = Story()

    async def pages(envelopes: list[bus.Envelope]) -> float:
        db = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
        explaining = Explaining(db)
        for envelope in envelopes:
            async with db.transaction():
                await apply.count(explaining, models.FIGURES, await apply.keep(explaining, [envelope]))
        await db.close()
        return explaining.pages / len(envelopes)

    with house.projecting():
        await house.publish(story.upload())
        await house.applied(3)
    await add(house, counted(story.busy(100)))
    short = await pages(counted(story.busy(15)))
    await add(house, counted(story.busy(4000)))
    long = await pages(counted(story.busy(15)))
    # An index grows by a level now and then: that much is the logarithm's.
    assert long / short < 1.5, (short, long)


async def test_a_chart_costs_the_same_after_a_hundred_times_the_history(house: House) -> None:
    story = Story()

    async def pages(metric: Metric, *by: Dimension) -> int:
        span = Span(story.facility, START, START + timedelta(days=30))
        db = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
        # A table of a few pages is read whole; that is no base to compare with.
        await db.execute("SET enable_seqscan = off")
        explaining = Explaining(db)
        select = queries.series(span, metric, by, "hour", "Europe/Berlin")
        compiled = select.compile(dialect=postgresql.asyncpg.dialect(), compile_kwargs={"literal_binds": True})
        await explaining.execute(str(compiled))
        await db.close()
        return explaining.pages

    with house.projecting():
        await house.publish(story.upload())
        await house.applied(3)
    await add(house, counted(story.busy(800)))
    charts = [(Metric.ANALYSES, Dimension.STATE), (Metric.FINDINGS, Dimension.FINDING), (Metric.TURNAROUND_MS,)]
    short = [await pages(*chart) for chart in charts]
    # The same again, a hundred times as far back, and ten other facilities beside it.
    for table in (models.analyses, models.findings, models.durations):
        rest = ", ".join(c.name for c in table.columns if c.name not in ("facility_id", "at"))
        older, others = "at - k * interval '60 days'", "('00000000-0000-0000-0000-' || lpad(k::text, 12, '0'))::uuid"
        await house.sql(
            f"INSERT INTO {table} SELECT facility_id, {older}, {rest} FROM {table}, generate_series(1, 99) k"
        )
        await house.sql(
            f"INSERT INTO {table} SELECT {others}, at, {rest} FROM {table}, generate_series(1, 10) k"
            f" WHERE at > '{START.isoformat()}'"
        )
        await house.sql(f"ANALYZE {table}")
    long = [await pages(*chart) for chart in charts]
    assert max(b / a for a, b in zip(short, long, strict=True)) <= 1.2, (short, long)
