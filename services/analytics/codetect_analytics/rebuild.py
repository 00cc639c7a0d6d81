"""The figures made anew from the kept events, into a second schema, then swapped in; charts answer throughout."""

import json
import time

import asyncpg  # type: ignore[import-untyped]
import structlog
from codetect_shared.bus import Envelope
from codetect_shared.db import fencing
from sqlalchemy import MetaData
from sqlalchemy.schema import CreateTable

from codetect_analytics import apply, models

log = structlog.get_logger()
LOCK = 0x0C0DEF17
BATCH = 2000
NEXT, OLD = f"{models.FIGURES}_next", f"{models.FIGURES}_old"
SELECT = f"SELECT position, {', '.join(apply.KEPT)} FROM events WHERE position > $1 ORDER BY position LIMIT {BATCH}"  # noqa: S608


class RebuildRunning(ConnectionError):
    """Another rebuild is at work."""


async def rebuild(db: asyncpg.Connection, app_role: str) -> int:
    """Rebuild while the projector goes on, catch up with it, swap. Returns how many events were folded."""
    if not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        raise RebuildRunning("another rebuild is at work")
    try:
        started = time.monotonic()
        await _drop(db, NEXT)
        await _drop(db, OLD)
        await _create(db, NEXT, app_role)
        position = folded = 0
        while True:
            async with db.transaction():
                position, n = await _fold(db, position)
            folded += n
            if n < BATCH:
                break
        async with db.transaction():
            # Under this lock no projector adds events: what is left is folded, and nothing comes in between.
            await db.execute("SELECT FROM cursor FOR UPDATE")
            while n := (left := await _fold(db, position))[1]:
                position, folded = left[0], folded + n
            if await db.fetchval("SELECT to_regnamespace($1)", models.FIGURES):
                await db.execute(f"ALTER SCHEMA {models.FIGURES} RENAME TO {OLD}")
            await db.execute(f"ALTER SCHEMA {NEXT} RENAME TO {models.FIGURES}")
            await db.execute("UPDATE cursor SET figures_version = $1", models.FIGURES_VERSION)
        log.info("figures rebuilt", events=folded, seconds=round(time.monotonic() - started, 1))
        await _drop(db, OLD)
        return folded
    finally:
        if not db.is_closed():
            await db.execute("SELECT pg_advisory_unlock($1)", LOCK)


async def _create(db: asyncpg.Connection, schema: str, app_role: str) -> None:
    async with db.transaction():
        await db.execute(f"CREATE SCHEMA {schema}")
        for table in models.figures.sorted_tables:
            there = table.to_metadata(MetaData(), schema=schema)
            await db.execute(str(CreateTable(there).compile(dialect=models.DIALECT)))
            for statement in fencing(f"{schema}.{table.name}"):
                await db.execute(statement)
        await db.execute(f'GRANT USAGE ON SCHEMA {schema} TO "{app_role}"')
        await db.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO "{app_role}"')


async def _drop(db: asyncpg.Connection, schema: str) -> None:
    """A chart that still reads the old figures is waited for; after 5 s they stay until the next rebuild.

    Table by table, so that it holds nothing that the chart may ask for next while it waits for it.
    """
    tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1 ORDER BY 1"
    try:
        for (table,) in await db.fetch(tables, schema):
            await db.execute(f"DROP TABLE {table} CASCADE")
        await db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    except (asyncpg.QueryCanceledError, TimeoutError):
        log.warning("schema not dropped; the next rebuild does it", schema=schema)


async def _fold(db: asyncpg.Connection, position: int) -> tuple[int, int]:
    """Fold the next events; returns the position of the last one, and how many there were."""
    rows = await db.fetch(SELECT, position)
    told = [
        Envelope(
            row["event_id"], row["type"], row["time"], row["facility_id"], row["subject"], row["sequence"],
            json.loads(row["data"]),
        )
        for row in rows
    ]  # fmt: skip
    if told:
        await apply.count(db, NEXT, told)
    return (rows[-1]["position"] if rows else position), len(rows)
