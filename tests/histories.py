"""Databases as older revisions left them: brought to that revision, filled with what its code had written, upgraded."""

import asyncio
import base64
import json
import re
import tarfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from codetect_shared.migrations import bootstrap, migrate
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tests.infrastructure import Infrastructure, locked

DATA = Path(__file__).parent / "data"
MASTER_KEY = base64.b64encode(b"a recording s key: not a secret!")
ROLES = {"app": "", "owner": "_OWNER", "system": "_SYSTEM"}


@dataclass(frozen=True)
class Recorded:
    """What a service of an older revision kept and said: rows by table, answers by facility and path, objects."""

    rows: dict[str, list[dict[str, Any]]]
    said: dict[str, Any]
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)


def recorded(name: str) -> Recorded:
    """A recording in `tests/data`; how it was made stands beside it."""
    with tarfile.open(DATA / f"{name}.tar.xz") as archive:
        files = {
            one.name.removeprefix("./"): found.read()
            for one in archive
            if (found := archive.extractfile(one)) is not None
        }
    places = {path: path.removeprefix("objects/").partition("/") for path in files if path.startswith("objects/")}
    objects = {(bucket, key): files[path] for path, (bucket, _, key) in places.items()}
    return Recorded(json.loads(files["rows.json"]), json.loads(files["said.json"]), objects)


def just_now(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The same rows as if all had been written up to this moment: what lasts for days is still good."""
    late = datetime.now(UTC) - max(datetime.fromisoformat(one["time"]) for one in rows["outbox"])

    def moved(value: Any) -> Any:
        return (datetime.fromisoformat(value) + late).isoformat() if is_time(value) else value

    return {
        table: [{name: moved(value) for name, value in one.items()} for one in those] for table, those in rows.items()
    }


def is_time(value: Any) -> bool:
    """Whether it is a timestamp as Postgres writes it in JSON."""
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", value) is not None


@dataclass
class History:
    """A database of a service, on the tests' servers but of its own."""

    service: str
    urls: dict[str, str]

    @property
    def settings(self) -> dict[str, SecretStr]:
        """What a service's settings say of it."""
        return {
            "database_url": SecretStr(self.urls["app"]),
            "database_system_url": SecretStr(self.urls["system"]),
        }

    async def upgrade(self, to: str = "head") -> None:
        await asyncio.to_thread(migrate, f"codetect_{self.service}", self.urls["owner"], to)

    async def sql(self, statement: str, *arguments: object, role: str = "system") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.urls[role])
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def fill(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Enter rows as they were, and have numbers go on after theirs."""
        for table, those in rows.items():
            entered = (
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(null::{table}, $1)"
            )
            await self.sql(entered, json.dumps(those))
        numbered = await self.sql("""
            SELECT table_name AS name, column_name AS column FROM information_schema.columns
            WHERE table_schema = 'public' AND is_identity = 'YES'
        """)
        for name, column in numbered:
            (row,) = await self.sql(f"SELECT max({column}) AS last FROM {name}")
            last = "SELECT setval(pg_get_serial_sequence($1, $2), $3) WHERE $3 IS NOT NULL"
            await self.sql(last, name, column, row["last"], role="owner")

    async def counted(self, tables: Iterable[str]) -> dict[str, int]:
        """How many rows each table has."""
        return {table: (await self.sql(f"SELECT count(*) FROM {table}"))[0]["count"] for table in tables}

    async def seen(self, table: str, facility_id: str) -> int:
        """How many rows of a table the role that serves requests sees as this facility; '': as none."""
        connection = await asyncpg.connect(self.urls["app"])
        try:
            async with connection.transaction():
                await connection.execute("SELECT set_config('codetect.facility', $1, true)", facility_id)
                return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
        finally:
            await connection.close()

    async def of_facilities(self) -> list[str]:
        """Every table whose rows belong to facilities."""
        rows = await self.sql("""
            SELECT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_name)
            WHERE column_name = 'facility_id' AND columns.table_schema = 'public' AND table_type = 'BASE TABLE'
            ORDER BY 1
        """)
        return [row["name"] for row in rows]


@asynccontextmanager
async def history(infra: Infrastructure, service: str, revision: str) -> AsyncIterator[History]:
    """An empty database at an older revision, dropped at the end."""
    admin = infra.environment["CODETECT_POSTGRES_ADMIN_URL"]
    names = {role: f"CODETECT_{service.upper()}_DATABASE{suffix}_URL" for role, suffix in ROLES.items()}
    own = {role: make_url(infra.environment[name]) for role, name in names.items()}
    database = f"{own['owner'].database}_{revision}"
    urls = {role: url.set(database=database).render_as_string(hide_password=False) for role, url in own.items()}
    async with locked(admin):
        await bootstrap(admin, {names[role]: url for role, url in urls.items()})
    found = History(service, urls)
    try:
        await found.upgrade(revision)
        yield found
    finally:
        connection = await asyncpg.connect(admin)
        await connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        await connection.close()


def differences(then: Any, now: Any, where: str = "") -> dict[str, tuple[Any, Any]]:
    """Where something that was said is no longer said, by its place; what is said besides is none."""
    if isinstance(then, dict) and isinstance(now, dict):
        pairs = [(f"{where}.{key}", value, now.get(key)) for key, value in then.items()]
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = [(f"{where}[{n}]", *both) for n, both in enumerate(zip(then, now, strict=True))]
    else:
        return {} if then == now else {where: (then, now)}
    return {place: pair for one in pairs for place, pair in differences(one[1], one[2], one[0]).items()}
