"""What was told long ago goes, however much of it there is; what fails waits, and holds nothing else up."""

import asyncio

import asyncpg
import pytest
import sqlalchemy as sa
from codetect_shared import expiring
from codetect_shared.jobs import Reaper

from tests.shared.conftest import Shop
from tests.shared.test_jobs import running

SENT = """
    INSERT INTO outbox (event_id, facility_id, queue, type, subject, sequence, data, time, sent_at)
    SELECT gen_random_uuid(), gen_random_uuid(), $1, 'some', '', 0, '{}', clock_timestamp(),
           clock_timestamp() - $2::text::interval
    FROM generate_series(1, $3::int)
"""
APPLIED = """
    INSERT INTO inbox (queue, event_id, at)
    SELECT 'some', gen_random_uuid(), clock_timestamp() - $1::text::interval FROM generate_series(1, $2::int)
"""


async def as_owner(shop: Shop, statement: str) -> None:
    connection = await asyncpg.connect(shop.owner_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def kept(shop: Shop, table: str) -> int:
    return (await shop.sql(f"SELECT count(*) FROM {table}"))[0][0]


async def test_all_that_is_old_goes_at_once_and_nothing_else(shop: Shop) -> None:
    for queue, age, count in (
        (None, "31 days", 4500),
        ("looks", "31 days", 10),
        ("looks", "61 minutes", 4500),
        (None, "29 days", 3),
        ("looks", "59 minutes", 2),
        ("looks", None, 1),
        (None, None, 1),
    ):
        await shop.sql(SENT, queue, age, count)
    await shop.sql(APPLIED, "15 days", 4500)
    await shop.sql(APPLIED, "13 days", 2)
    await expiring.forget_told(shop.system_url)
    assert (await kept(shop, "outbox"), await kept(shop, "inbox")) == (7, 2)


async def test_what_stays_is_not_read(shop: Shop) -> None:
    await shop.sql(SENT, None, "20 days", 30_000)
    await shop.sql(SENT, "looks", "30 minutes", 100)
    await shop.sql(APPLIED, "1 day", 30_000)
    for table in ("outbox", "inbox"):
        await as_owner(shop, f"ANALYZE {table}")
    for statement, index in zip(expiring.FORGET, ("outbox_queued", "outbox_sent", "ix_inbox_at"), strict=True):
        plan = "\n".join(line[0] for line in await shop.sql(f"EXPLAIN {statement}"))
        assert f"Index Scan using {index} " in plan, plan
        assert "Index Cond: (" in plan.partition(index)[2].splitlines()[1], plan


async def test_what_cant_be_forgotten_waits_and_holds_nothing_up(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reaper looks on meanwhile; once it can be, what is old goes."""
    monkeypatch.setattr(expiring, "EVERY_S", 1)
    system = sa.make_url(shop.system_url.get_secret_value()).username
    await shop.sql(APPLIED, "15 days", 1)
    await as_owner(shop, f"REVOKE DELETE ON inbox FROM {system}")
    async with running(Reaper(shop.system_url, shop.jobs)):
        task = await shop.add()
        await asyncio.sleep(4)
        failures = [line for line in capsys.readouterr().out.splitlines() if "interrupted" in line]
        assert 2 <= len(failures) <= 3, failures
        assert all("forgetting" in line for line in failures), failures
        await shop.sql("UPDATE task SET available_at = clock_timestamp() WHERE id = $1", task.id)
        async with asyncio.timeout(2):
            while not await kept(shop, "outbox"):
                await asyncio.sleep(0.05)
        await as_owner(shop, f"GRANT DELETE ON inbox TO {system}")
        async with asyncio.timeout(10):
            while await kept(shop, "inbox"):
                await asyncio.sleep(0.05)
