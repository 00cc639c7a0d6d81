"""A process is ready once its migrations have run, and stays so when a newer version's have."""

from pathlib import Path

import pytest
from codetect_shared import schema
from codetect_shared.schema import SchemaBehind, migrated, newest
from sqlalchemy.exc import ProgrammingError

from tests.shared.conftest import Shop

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("service", ["analytics", "auth", "gateway", "inference", "ingest"])
def test_the_newest_revision_is_the_one_that_nothing_follows(service: str) -> None:
    package = f"codetect_{service}"
    texts = [path.read_text() for path in (ROOT / "services" / service / package / "migrations/versions").glob("0*.py")]
    named, followed = (
        {line.split('"')[1] for text in texts for line in text.splitlines() if line.startswith(f'{what} = "')}
        for what in ("revision", "down_revision")
    )
    assert {newest(package)} == named - followed


async def test_ready_once_migrations_have_run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "newest", lambda package: "0004")
    check = migrated(shop.db, "codetect_shop")
    with pytest.raises(ProgrammingError):  # no migration ever ran
        await check()
    await shop.sql_as_owner("CREATE TABLE alembic_version (version_num varchar(32))")
    with pytest.raises(SchemaBehind, match="None"):
        await check()
    await shop.sql_as_owner("INSERT INTO alembic_version VALUES ('0003')")
    with pytest.raises(SchemaBehind, match="0003, this version needs 0004"):
        await check()
    for revision in ("0004", "0011"):
        await shop.sql_as_owner(f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 - a constant
        await check()
