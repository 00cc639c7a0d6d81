"""What an event costs on its way into the figures, and what a chart costs: `python -m tests.load.bench_analytics`.

Prints JSON lines (name, value, unit, baseline, ratio). The projector and a relay run as they do in production, the
projector as a process of its own.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import asyncpg
from codetect_analytics import app, models, rebuild
from codetect_analytics.settings import Settings
from codetect_shared import outbox
from codetect_shared.bus import Envelope
from pydantic import SecretStr
from sqlalchemy import make_url

from tests.analytics.conftest import House
from tests.analytics.stories import START, Story
from tests.infrastructure import infrastructure

HISTORY = 300_000
LONG = "figures_long"
TELL = """
    INSERT INTO outbox (event_id, facility_id, type, subject, sequence, data, time)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def say(name: str, value: float, unit: str, baseline: float | None = None) -> None:
    """One line of the report."""
    ratio = round(value / baseline, 3) if baseline else None
    rounded = None if baseline is None else round(baseline, 3)
    print(
        json.dumps({"name": name, "value": round(value, 3), "unit": unit, "baseline": rounded, "ratio": ratio}),
        flush=True,
    )


@asynccontextmanager
async def projector(environment: dict[str, str]) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A projector process."""
    command = [sys.executable, "-m", "codetect_analytics", "projector"]
    running = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        await asyncio.to_thread(running.wait)


async def event_to_figure(house: House, ingest_url: str, n: int = 200) -> None:
    """From the commit of an outbox row to its figure, one event at a time on an idle house."""
    story, took = Story(), []
    relay = outbox.Relay(SecretStr(ingest_url), house.settings.rabbitmq_url, "bench")
    relaying = asyncio.create_task(relay.run())
    source = await asyncpg.connect(ingest_url)
    figures = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
    look = await figures.prepare("SELECT sum(n) FROM figures.studies WHERE facility_id = $1")

    async def tell(e: Envelope) -> float:
        seen = await look.fetchval(story.facility)
        row = (e.id, e.facility_id, e.type, e.subject, e.sequence, json.dumps(e.data), e.time)
        await source.execute(TELL, *row)
        committed = time.perf_counter()
        async with asyncio.timeout(20):
            while await look.fetchval(story.facility) == seen:
                await asyncio.sleep(0.001)
        return time.perf_counter() - committed

    for _ in range(10):
        await tell(story.study())
    for _ in range(n):
        await asyncio.sleep(0.03)
        took.append(await tell(story.study()) * 1000)
    relaying.cancel()
    await source.close()
    await figures.close()
    say("event_to_figure_p50", median(took), "ms")
    say("event_to_figure_p99", quantiles(took, n=100)[98], "ms")


async def throughput(house: House, environment: dict[str, str], told: list[Envelope]) -> float:
    """Seconds for one event of a backlog that is already in the stream when the projector starts."""
    before = (await house.sql("SELECT count(*) FROM events"))[0][0]
    await house.publish(told, 200)
    due = before + sum("progressed" not in e.type for e in told)
    async with projector(environment) as running:
        started = None
        async with asyncio.timeout(300):
            while (count := (await house.sql("SELECT count(*) FROM events"))[0][0]) < due:
                if started is None and count > before:
                    started, first = time.perf_counter(), count
                assert running.poll() is None
                await asyncio.sleep(0.02)
        return (time.perf_counter() - (started or 0)) / (due - first)


async def add_events(house: House, admin_url: str, rows: int) -> None:
    """As if there had been that many events before: copies under ids of last year."""
    copies = rows // (await house.sql("SELECT count(*) FROM events"))[0][0]
    names = "facility_id, type, subject, sequence, time, data"
    past = "uuidv7(interval '-400 days')"
    await house.sql(
        f"INSERT INTO events (event_id, {names}) SELECT {past}, {names} FROM events, generate_series(1, {copies})"
    )
    await house.sql(
        f"INSERT INTO figures.latest SELECT {past}, facility_id, sequence, model, model_version, state"
        f" FROM figures.latest, generate_series(1, {copies})"
    )
    await settle(house, admin_url)


async def settle(house: House, admin_url: str) -> None:
    """What a bulk load leaves to be done is done now, not during the measurement."""
    database = make_url(house.settings.database_system_url.get_secret_value()).database
    db = await asyncpg.connect(make_url(admin_url).set(database=database).render_as_string(hide_password=False))
    await db.execute("VACUUM ANALYZE")
    await db.execute("CHECKPOINT")
    await db.close()


async def make_long(house: House) -> None:
    """Beside the figures, the same with a hundred times their history."""
    db = await outbox.connect_directly(house.settings.database_system_url)
    await rebuild._create(db, LONG, app.app_role(house.settings))
    await db.close()
    for table in models.figures.sorted_tables:
        names = [c.name for c in table.columns]
        back = ", ".join("at - k * interval '400 days'" if name == "at" else name for name in names)
        copies = f"SELECT {back} FROM {table}, generate_series(0, {99 if 'at' in names else 0}) k ORDER BY k DESC"
        await house.sql(f"INSERT INTO {LONG}.{table.name} {copies}")
    await house.sql("ANALYZE")


async def swap(house: House) -> None:
    """The other history takes the figures' place."""
    for old, new in ((models.FIGURES, "aside"), (LONG, models.FIGURES), ("aside", LONG)):
        await house.sql(f"ALTER SCHEMA {old} RENAME TO {new}")


async def charts(house: House, story: Story, rounds: int = 12) -> None:
    """What a dashboard shows of a busy month, through the API; short and long history in turns, so noise hits both."""
    span = {"from": START.isoformat(), "to": story.now.isoformat()}
    shown: dict[str, dict[str, Any]] = {
        "summary": {},
        "analyses by state, days": {"metric": "analyses", "by": "state"},
        "findings, hours": {"metric": "findings", "by": "finding", "interval": "hour"},
        "turnaround, days": {"metric": "turnaround_ms", "by": "stage", "tz": "Europe/Berlin"},
    }
    took: dict[tuple[str, int], list[float]] = defaultdict(list)
    await make_long(house)
    async with house.asking(story.facility) as client:
        for turn in range(2 * rounds):
            for name, params in shown.items():
                path = "/api/v1/analytics/" + ("timeseries" if params else "summary")
                for repeat in range(7):
                    started = time.perf_counter()
                    (await client.get(path, params=params | span)).raise_for_status()
                    if repeat > 1:
                        took[name, turn % 2].append((time.perf_counter() - started) * 1000)
            await swap(house)
    for name in shown:
        say(f"chart_p50: {name}, 100 times the history", median(took[name, 1]), "ms", median(took[name, 0]))


async def main() -> None:
    """Measure everything once."""
    with tempfile.TemporaryDirectory() as folder:
        async with infrastructure(Path(folder)) as infra:
            os.environ.update(infra.environment, CODETECT_LOG_LEVEL="error")
            await infra.migrate("analytics", "ingest")
            house = House(Settings())
            async with projector(infra.environment):
                async with asyncio.timeout(60):
                    while not (await house.sql("SELECT to_regnamespace('figures')"))[0][0]:
                        await asyncio.sleep(0.1)
                await event_to_figure(house, infra.environment["CODETECT_INGEST_DATABASE_SYSTEM_URL"])
            story = Story()
            await settle(house, infra.environment["CODETECT_POSTGRES_ADMIN_URL"])
            short = min([await throughput(house, infra.environment, story.busy(300)) for _ in range(5)])
            say("projector_events_per_s", 1 / short, "events/s")
            await charts(house, story)
            await add_events(house, infra.environment["CODETECT_POSTGRES_ADMIN_URL"], HISTORY)
            later = min([await throughput(house, infra.environment, story.busy(300)) for _ in range(5)])
            say(f"cost of an event after {HISTORY} others", later * 1000, "ms", short * 1000)
            db = await outbox.connect_directly(house.settings.database_system_url)
            started = time.perf_counter()
            folded = await rebuild.rebuild(db, app.app_role(house.settings))
            say("rebuild_events_per_s", folded / (time.perf_counter() - started), "events/s")
            await db.close()


if __name__ == "__main__":
    asyncio.run(main())
