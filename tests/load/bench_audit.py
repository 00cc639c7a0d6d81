"""What an audit row costs a request, and how fast rows are chained and verified: `python -m tests.load.bench_audit`.

Prints JSON lines (name, value, unit, baseline, ratio). auth runs as it does in production, in a process of its own.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from uuid import UUID

from codetect_auth.settings import Settings
from codetect_auth.trail.verifying import verify
from codetect_shared import audit
from codetect_shared.db import Database, uuid7
from codetect_shared.tokens import Principal, Role
from sqlalchemy import text

from tests.infrastructure import infrastructure
from tests.load.bench_analytics import say

ROUNDS, WRITERS, EACH, MANY = 500, 8, 250, 20


def somebody(facility: UUID) -> Principal:
    """A reader."""
    return Principal(str(uuid7()), facility, "bench", Role.MEMBER, session_id=uuid7())


async def timed(db: Database, facility: UUID, work: Callable[..., Awaitable[None]]) -> float:
    """Milliseconds a transaction takes, the middle of many."""
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        async with db.facility(facility) as session:
            await session.execute(text("SELECT 1"))
            await work(session)
        took.append((time.perf_counter() - started) * 1000)
    return median(took)


async def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        async with infrastructure(Path(folder)) as infra:
            os.environ |= infra.environment
            await infra.migrate("auth")
            settings = Settings()
            db = Database(settings.database_url, settings.database_system_url, pool_size=WRITERS)
            await requests(db)
            await chained(db, settings)
            await db.close()


async def requests(db: Database) -> None:
    """What is added to a request."""
    facility = uuid7()
    who, study = somebody(facility), uuid7()

    async def nothing(_: object) -> None:
        pass

    async def row(session: object) -> None:
        await audit.record(session, who, "identity.read", study_id=uuid7())  # type: ignore[arg-type]

    async def again(session: object) -> None:
        await audit.record_once(session, who, "image.read", study_id=study)  # type: ignore[arg-type]

    bare = await timed(db, facility, nothing)
    say("audit_row_ms", await timed(db, facility, row), "ms", bare)
    say("audit_row_of_the_same_minute_ms", await timed(db, facility, again), "ms", bare)

    async def reader(own: UUID) -> None:
        me = somebody(own)
        for _ in range(EACH):
            async with db.facility(own) as session:
                await audit.record(session, me, "identity.read", study_id=uuid7())

    for name, facilities in (("one_facility", [facility] * WRITERS), ("eight_facilities", [uuid7() for _ in range(8)])):
        started = time.perf_counter()
        await asyncio.gather(*map(reader, facilities))
        say(f"audited_reads_per_s_{name}", WRITERS * EACH / (time.perf_counter() - started), "1/s")
    started = time.perf_counter()
    async with db.facility(facility) as session:
        await audit.record_each(session, who, "identity.read", [uuid7() for _ in range(500)])
    say("audit_500_rows_at_once_ms", (time.perf_counter() - started) * 1000, "ms")


async def chained(db: Database, settings: Settings) -> None:
    """From the outbox through the broker into the chain; then all of it verified."""
    [waiting] = await count(db, "audit")
    port = settings.port
    command = [sys.executable, "-m", "codetect_auth", "api"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"CODETECT_AUTH_PORT": str(port)})
    try:
        while not (await count(db, "audit_chain"))[0]:
            await asyncio.sleep(0.05)
        [before], started = await count(db, "audit_chain"), time.perf_counter()
        while (await count(db, "audit_chain"))[0] < waiting:
            await asyncio.sleep(0.1)
        say("audit_rows_chained_per_s", (waiting - before) / (time.perf_counter() - started), "1/s")
        lag = []
        facility = uuid7()
        for _ in range(MANY):
            async with db.facility(facility) as session:
                await audit.record(session, somebody(facility), "identity.read", study_id=uuid7())
            waiting, since = waiting + 1, time.perf_counter()
            while (await count(db, "audit_chain"))[0] < waiting:
                await asyncio.sleep(0.002)
            lag.append((time.perf_counter() - since) * 1000)
        say("audit_recorded_to_chained_ms", median(lag), "ms")
    finally:
        running.terminate()
        await asyncio.to_thread(running.wait)
    started = time.perf_counter()
    reports = await verify(db, settings.master_key)
    seconds = time.perf_counter() - started
    if not all(report.ok for report in reports):
        raise SystemExit(f"not whole: {reports}")
    say("audit_rows_verified_per_s", sum(report.rows for report in reports) / seconds, "1/s")


async def count(db: Database, table: str) -> tuple[int]:
    """How many rows there are."""
    async with db.system() as session:
        return ((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one(),)  # noqa: S608 - a constant


if __name__ == "__main__":
    asyncio.run(main())
