"""Analytics against a real Postgres and a real broker, each test with an empty event table and an empty stream."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import httpx
import pytest
from codetect_analytics import app, models
from codetect_analytics.projector import Projector
from codetect_analytics.settings import Settings
from codetect_shared import bus, topology
from codetect_shared.testing import Tokens, running

from tests.analytics.stories import recount
from tests.infrastructure import Infrastructure


@dataclass
class House:
    """The analytics service of one test."""

    settings: Settings

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        db = await asyncpg.connect(self.settings.database_system_url.get_secret_value())
        try:
            return await db.fetch(statement, *arguments)
        finally:
            await db.close()

    async def publish(self, envelopes: Iterable[bus.Envelope], batch: int = 100) -> None:
        await self.send([(e.type, bus.encode(e, "test")) for e in envelopes], batch)

    async def send(self, messages: list, batch: int = 100) -> None:
        async with bus.connect(self.settings.rabbitmq_url, "test") as connection:
            channel = await connection.channel(publisher_confirms=True)
            exchange = await topology.declare(channel)
            for start in range(0, len(messages), batch):
                part = [(None, key, message) for key, message in messages[start : start + batch]]
                await bus.publish_all(channel, exchange, part)

    async def recreate_stream(self) -> None:
        async with bus.connect(self.settings.rabbitmq_url, "test") as connection:
            channel = await connection.channel()
            await topology.declare(channel)
            await channel.queue_delete(topology.LOG)
            await topology.declare(channel)

    @contextmanager
    def projecting(self) -> Iterator[Projector]:
        """A projector at work in this process."""
        role = app.app_role(self.settings)
        projector = Projector(self.settings.database_system_url, self.settings.rabbitmq_url, role)
        task = asyncio.create_task(projector.run())
        try:
            yield projector
        finally:
            task.cancel()

    async def applied(self, count: int, within_s: float = 20) -> None:
        """Wait until so many events are kept."""
        seen = None
        try:
            async with asyncio.timeout(within_s):
                while seen != count:
                    seen = (await self.sql("SELECT count(*) FROM events"))[0][0]
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{seen} of {count} events after {within_s} s")

    async def figures(self) -> dict[str, list[tuple]]:
        """Every row of every figure."""
        names = [table.name for table in models.figures.sorted_tables]
        db = await asyncpg.connect(self.settings.database_system_url.get_secret_value())
        try:
            async with db.transaction(isolation="repeatable_read"):
                return {n: sorted(tuple(r) for r in await db.fetch(f"SELECT * FROM figures.{n}")) for n in names}
        finally:
            await db.close()

    @asynccontextmanager
    async def asking(self, facility: UUID) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the API with a member's token."""
        tokens = Tokens()
        async with running(app.api(self.settings), tokens) as client:
            client.headers.update(tokens.headers(facility))
            yield client

    async def check(self, envelopes: list[bus.Envelope]) -> None:
        """The API's summary of each facility is what a slow recount of these events says."""
        for facility in {e.facility_id for e in envelopes}:
            async with self.asking(facility) as client:
                answer = await client.get(SUMMARY, params=ALL_TIME)
            assert answer.status_code == 200, answer.text
            same(answer.json(), recount(envelopes, facility))


SUMMARY = "/api/v1/analytics/summary"
ALL_TIME = {"from": "2026-01-01T00:00:00Z", "to": "2028-01-01T00:00:00Z"}


def same(summary: dict, expected: dict) -> None:
    """Counts are exact; quantiles within 1 %."""

    def counts(part: dict) -> dict:
        return {name: n for name, n in part.items() if isinstance(n, int) and n}

    assert counts(summary["now"]) == expected["now"]
    assert counts(summary["analyses"]) == expected["analyses"]
    assert {(m["model"], m["model_version"]): m["completed"] for m in summary["models"] if m["completed"]} == expected[
        "models"
    ]
    findings = {
        (f["finding"], f["model"], f["model_version"], positive): f["positive" if positive else "negative"]
        for f in summary["findings"]
        for positive in (True, False)
    }
    assert {key: n for key, n in findings.items() if n} == expected["findings"]
    told = {"open": "opened", "importing": "completed", "done": "imported", "refused": "refused", "expired": "expired"}
    uploads = counts(summary["uploads"])
    assert uploads.pop("bytes", 0) == expected["bytes"]
    assert {told[state]: n for state, n in uploads.items()} == expected["uploads"]
    files = {"accepted": summary["files"]["accepted"], **summary["files"]["refused_by_code"]}
    assert {code: n for code, n in files.items() if n} == expected["files"]
    assert counts(summary["studies"]) == expected["studies"]
    for stage, values in expected["ms"].items():
        if values:
            got = summary["turnaround_ms"][stage]
            assert got["n"] == len(values)
            for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
                assert got[name] == pytest.approx(values[int(q * (len(values) - 1))], rel=0.0101, abs=1)


@pytest.fixture
async def house(infra: Infrastructure, environment: dict[str, str]) -> House:
    await infra.migrate("analytics")
    house = House(Settings())
    await house.recreate_stream()
    await house.sql("DELETE FROM events")
    await house.sql("DELETE FROM erasures")
    for schema in ("figures", "figures_next", "figures_old"):
        await house.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    await house.sql('UPDATE cursor SET epoch = 0, "offset" = -1, anchor = NULL, figures_version = 0')
    return house
