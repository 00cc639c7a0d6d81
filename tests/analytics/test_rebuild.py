"""Figures made anew from the kept events are the same, while charts answer and events come in."""

import asyncio
import os
import sys

import asyncpg
import pytest
from codetect_analytics import app, models, rebuild
from codetect_shared import outbox

from tests.analytics.conftest import ALL_TIME, SUMMARY, House
from tests.analytics.stories import Story
from tests.analytics.test_projector import kept


async def rebuilt(house: House) -> int:
    db = await outbox.connect_directly(house.settings.database_system_url)
    try:
        return await rebuild.rebuild(db, app.app_role(house.settings))
    finally:
        await db.close()


async def schemas(house: House) -> list[str]:
    rows = await house.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'figures%' ORDER BY 1")
    return [row[0] for row in rows]


async def test_a_rebuild_gives_the_same_rows(house: House) -> None:
    told = [*Story(seed=1).busy(150), *Story(seed=2).busy(100)]
    with house.projecting():
        await house.publish(told[::2])
        await house.publish(told)
        await house.applied(kept(told))
        before = await house.figures()
        assert await rebuilt(house) == kept(told)
        assert await house.figures() == before
        assert all(len(rows) > 5 for rows in before.values())
        await house.check(told)
    assert await schemas(house) == ["figures"]


async def test_charts_answer_and_no_event_is_lost_during_rebuilds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "BATCH", 50)
    monkeypatch.setattr(rebuild, "SELECT", rebuild.SELECT.replace("LIMIT 2000", "LIMIT 50"))
    story = Story()
    told, more, answers = story.busy(40), story.busy(100), []

    async def flow() -> None:
        for start in range(0, len(more), 40):
            await house.publish(more[start : start + 40])
            await asyncio.sleep(0.05)

    async def ask() -> None:
        async with house.asking(story.facility) as client:
            while not flowing.done():
                answer = await client.get(SUMMARY, params=ALL_TIME)
                assert answer.status_code == 200, answer.text
                answers.append(sum(v for v in answer.json()["analyses"].values()))

    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        flowing = asyncio.create_task(flow())
        asking = [asyncio.create_task(ask()) for _ in range(3)]
        rebuilds = 0
        while not flowing.done():
            await rebuilt(house)
            rebuilds += 1
        await asyncio.gather(flowing, *asking)
        await house.applied(kept(told + more))
        await house.check(told + more)
    assert rebuilds > 2
    assert len(answers) > 10
    assert min(answers) >= sum(1 for e in told if e.type.startswith("codetect.analysis.") and "progr" not in e.type)


async def test_figures_of_another_version_are_rebuilt_before_the_projector_goes_on(house: House) -> None:
    story = Story()
    told, more = story.busy(30), story.busy(5)
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
    await house.sql("DELETE FROM figures.analyses")
    await house.sql("UPDATE cursor SET figures_version = $1", models.FIGURES_VERSION - 1)
    async with house.asking(story.facility) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["figures"] == "unavailable: FiguresMissing"
        with house.projecting():
            await house.publish(more)
            await house.applied(kept(told + more))
        assert (await client.get("/readyz")).status_code == 200
    await house.check(told + more)


async def test_one_rebuild_at_a_time(house: House) -> None:
    with house.projecting():
        await house.publish(Story().upload())
        await house.applied(3)
    db = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
    await db.execute("SELECT pg_advisory_lock($1)", rebuild.LOCK)
    with pytest.raises(rebuild.RebuildRunning):
        await rebuilt(house)
    await db.close()
    assert await rebuilt(house) == 3


async def test_a_rebuild_that_died_is_no_hindrance(house: House) -> None:
    with house.projecting():
        await house.publish(Story().upload())
        await house.applied(3)
    for schema in (rebuild.NEXT, rebuild.OLD):
        await house.sql(f"CREATE SCHEMA {schema}")
        await house.sql(f"CREATE TABLE {schema}.files (n int)")
    assert await rebuilt(house) == 3
    assert await schemas(house) == ["figures"]


@pytest.mark.parametrize("last", [False, True])
async def test_a_chart_that_still_reads_old_figures_and_their_end_never_lock_each_other_out(
    house: House, last: bool
) -> None:
    """It holds one of the old tables and asks for the others, in whatever order, while they are dropped."""
    with house.projecting():
        await house.publish(Story().upload())
        await house.applied(3)
    tables = sorted(models.figures.tables, reverse=last)
    held, *others = [name.rpartition(".")[2] for name in tables]
    reader = await asyncpg.connect(house.settings.database_system_url.get_secret_value())
    async with reader.transaction():
        await reader.execute(f"SELECT FROM {models.FIGURES}.{held}")
        rebuilding = asyncio.create_task(rebuilt(house))
        waiting = "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
        while not await house.sql(waiting):
            await asyncio.sleep(0.01)
        for name in others:
            if await reader.fetchval("SELECT to_regclass($1)", f"{rebuild.OLD}.{name}"):
                await reader.execute(f"SELECT FROM {rebuild.OLD}.{name}")
    await reader.close()
    assert await rebuilding == 3
    assert await schemas(house) == ["figures"]


async def test_the_command(house: House, environment: dict[str, str]) -> None:
    told = Story().busy(10)
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        command = [sys.executable, "-m", "codetect_analytics", "rebuild"]
        process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment)
        assert await process.wait() == 0
        await house.check(told)
