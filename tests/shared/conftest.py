"""A service for tests alone: one job table, the outbox and the inbox, in a database of its own."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from codetect_shared import migrations, topology
from codetect_shared.db import TYPES, Database, engine_of, uuid7
from codetect_shared.jobs import JobRow, Jobs
from pydantic import SecretStr
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.infrastructure import empty_broker


class Base(DeclarativeBase):
    type_annotation_map = TYPES


class Task(Base, JobRow):
    __tablename__ = "task"

    state: Mapped[str] = mapped_column(default="queued")


@dataclass
class Shop:
    """Addresses and open handles of the test service."""

    db: Database
    rabbitmq: SecretStr
    system_url: SecretStr
    owner_url: str
    admin_url: str
    jobs: Jobs[Task]
    facility: UUID

    async def add(self, facility: UUID | None = None, **values: object) -> Task:
        task = Task(facility_id=facility or self.facility, **values)
        async with self.db.facility(task.facility_id) as session:
            session.add(task)
        return task

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        return await _fetch(self.system_url.get_secret_value(), statement, *arguments)

    async def sql_as_owner(self, statement: str) -> None:
        await _fetch(self.owner_url, statement)


async def _fetch(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


@pytest.fixture
async def shop(environment: Mapping[str, str]) -> AsyncIterator[Shop]:
    admin = sa.make_url(environment["CODETECT_POSTGRES_ADMIN_URL"])
    name = f"shop_{uuid7().hex[-12:]}"
    urls = {
        role: admin.set(username=f"{name}_{role}", password="secret", database=name).render_as_string(
            hide_password=False
        )
        for role in ("owner", "app", "system")
    }
    admin_url = admin.render_as_string(hide_password=False)
    await migrations.bootstrap(
        admin_url,
        {
            "CODETECT_AUTH_DATABASE_OWNER_URL": urls["owner"],
            "CODETECT_AUTH_DATABASE_URL": urls["app"],
            "CODETECT_AUTH_DATABASE_SYSTEM_URL": urls["system"],
        },
    )
    engine = engine_of(urls["owner"], poolclass=sa.NullPool)
    async with engine.begin() as connection:
        await connection.run_sync(create_schema)
    await engine.dispose()
    db = Database(SecretStr(urls["app"]), SecretStr(urls["system"]), pool_size=5)
    await empty_broker(environment["CODETECT_RABBITMQ_URL"])
    yield Shop(
        db,
        SecretStr(environment["CODETECT_RABBITMQ_URL"]),
        SecretStr(urls["system"]),
        urls["owner"],
        admin_url,
        Jobs(Task, topology.UPLOADS_TO_IMPORT, lease_s=1.5, max_attempts=3),
        uuid7(),
    )
    await db.close()
    connection = await asyncpg.connect(admin_url)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    for url in urls.values():
        await connection.execute(f"DROP ROLE {sa.make_url(url).username}")
    await connection.close()


def create_schema(connection: sa.Connection) -> None:
    with Operations.context(MigrationContext.configure(connection)) as op:
        migrations.create_messaging()
        migrations.index_queued()
        op.create_table("task", *migrations.job_columns(), sa.Column("state", sa.Text, nullable=False))
        migrations.job_index("task")
        migrations.fence("task")
        migrations.create_audit("shop")
