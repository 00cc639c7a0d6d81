"""A filled database of revision 0001, as its own code left it, comes to the newest revision: the figures stay.

What was recorded: `tests/data/recordings.md`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from codetect_analytics import models
from codetect_analytics.settings import Settings

from tests.analytics.conftest import House
from tests.histories import History, Recorded, differences, history, recorded
from tests.infrastructure import Infrastructure

MINE, OTHER = "mine", "other"


@dataclass
class Upgraded:
    """The service after the upgrade, its figures made anew, and what was there before."""

    house: House
    history: History
    then: Recorded


@pytest.fixture
async def upgraded(infra: Infrastructure, house: House) -> AsyncIterator[Upgraded]:
    then = recorded("analytics-0001")
    async with history(infra, "analytics", "0001") as database:
        await database.sql("DELETE FROM cursor")
        await database.fill(then.rows)
        await database.upgrade()
        later = House(Settings(**database.settings))
        with later.projecting():
            async with asyncio.timeout(30):
                while (await later.sql("SELECT figures_version FROM cursor"))[0][0] != models.FIGURES_VERSION:
                    await asyncio.sleep(0.1)
        yield Upgraded(later, database, then)


async def test_figures_of_then_are_the_figures_of_now_each_facilitys_its_own(upgraded: Upgraded) -> None:
    (row,) = await upgraded.house.sql("SELECT count(*) FROM events")
    assert row["count"] == len(upgraded.then.rows["events"])
    for name in (MINE, OTHER):
        known = upgraded.then.said[name]
        async with upgraded.house.asking(UUID(known["facility_id"])) as client:
            for path, before in known["answers"].items():
                answer = await client.get(f"/api/v1/analytics{path}")
                assert answer.status_code == 200, answer.text
                assert differences(before, answer.json()) == {}, path
    tables = await upgraded.history.of_facilities()
    assert {"audit", "erasures", "events", "outbox"} <= set(tables)
    for table in tables:
        assert await upgraded.history.seen(table, "") == 0, table
        for known in upgraded.then.said.values():
            (row,) = await upgraded.history.sql(
                f"SELECT count(*) FROM {table} WHERE facility_id = $1", known["facility_id"]
            )
            assert await upgraded.history.seen(table, known["facility_id"]) == row["count"], table
