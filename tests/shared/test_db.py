"""A session sees the facility it was opened for, and nothing else, whatever happened on its connection before."""

import asyncio
import random

import pytest
from codetect_shared.db import Database, engine_of, uuid7
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.shared.conftest import Shop, Task


async def test_a_facility_sees_only_its_own_rows(shop: Shop) -> None:
    mine, theirs = await shop.add(), await shop.add(uuid7())
    async with shop.db.facility(shop.facility) as session:
        assert [t.id for t in await session.scalars(select(Task))] == [mine.id]
        assert await session.get(Task, theirs.id) is None


async def test_writing_into_another_facility_is_refused(shop: Shop) -> None:
    with pytest.raises(DBAPIError, match="row-level security"):
        async with shop.db.facility(shop.facility) as session:
            session.add(Task(facility_id=uuid7()))


async def test_a_session_without_a_facility_sees_nothing(shop: Shop) -> None:
    await shop.add()
    async with shop.db._app() as session:
        assert (await session.scalars(select(Task))).all() == []


async def test_even_the_owner_of_the_tables_is_fenced(shop: Shop) -> None:
    await shop.add()
    import asyncpg

    owner = await asyncpg.connect(shop.owner_url)
    assert await owner.fetch("SELECT * FROM task") == []
    await owner.close()


async def test_ten_thousand_interleaved_requests_on_a_pool_of_one_leak_nothing(shop: Shop) -> None:
    facilities = [uuid7() for _ in range(5)]
    for facility in facilities:
        await shop.add(facility)
    small = Database(shop_app_url(shop), shop.system_url, pool_size=1)

    async def request(facility: object) -> None:
        async with small.facility(facility) as session:
            found = {t.facility_id for t in await session.scalars(select(Task))}
            assert found == {facility}
            if random.random() < 0.2:
                await session.rollback()

    try:
        for _ in range(200):
            await asyncio.gather(*(request(random.choice(facilities)) for _ in range(50)))
    finally:
        await small.close()


@pytest.mark.parametrize("rested_s", [0.0, 60.0], ids=["tried first", "seen to be closed"])
async def test_a_connection_that_the_server_ended_is_replaced_before_it_is_used(
    shop: Shop, rested_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codetect_shared.db.RESTED_S", rested_s)
    db = Database(shop_app_url(shop), shop.system_url, pool_size=1)
    try:
        async with db.facility(shop.facility) as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with shop.db.facility(shop.facility) as session:
            assert await session.scalar(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await asyncio.sleep(0.2)
        async with db.facility(shop.facility) as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) != pid
    finally:
        await db.close()


async def test_a_thousand_aborted_requests_leave_the_pool_whole(shop: Shop) -> None:
    await shop.add()
    small = Database(shop_app_url(shop), shop.system_url, pool_size=2)

    async def request() -> None:
        async with small.facility(shop.facility) as session:
            await session.scalars(select(Task))
            await asyncio.sleep(0.002)

    try:
        for _ in range(100):
            tasks = [asyncio.create_task(request()) for _ in range(10)]
            await asyncio.sleep(random.uniform(0, 0.01))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10):
            await asyncio.gather(*(request() for _ in range(4)))
        assert small.app_engine.pool.checkedout() == 0
    finally:
        await small.close()


def shop_app_url(shop: Shop) -> object:
    from pydantic import SecretStr

    return SecretStr(shop.system_url.get_secret_value().replace("_system:", "_app:"))


async def test_a_url_may_say_how_the_connection_is_secured(shop: Shop) -> None:
    async with asyncio.timeout(10):
        plain = engine_of(f"{shop.owner_url}?sslmode=disable")
        async with plain.connect() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        await plain.dispose()
        strict = engine_of(f"{shop.owner_url}?sslmode=require")
        with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
            async with strict.connect():
                pass
        await strict.dispose()
