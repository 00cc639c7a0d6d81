"""Whether a schema is as new as its program: processes of a new version may start before its migrations have run."""

import re
from collections.abc import Awaitable, Callable
from importlib.resources import files

from sqlalchemy import text

from codetect_shared.db import Database

REVISION = re.compile(r"(\d{4})_\w+\.py")


class SchemaBehind(RuntimeError):
    """The database lacks migrations that this version needs."""


def newest(package: str) -> str:
    """Return the newest revision in `package`'s `migrations/versions`; their names begin with it, and ascend."""
    names = [path.name for path in (files(package) / "migrations" / "versions").iterdir()]
    return max(found[1] for name in names if (found := REVISION.fullmatch(name)))


def migrated(db: Database, package: str) -> Callable[[], Awaitable[None]]:
    """Return a check that raises SchemaBehind, or what the database does, until the newest migration has run.

    A schema that is newer is fine: the version before goes on beside the next one.
    """
    needed = newest(package)

    async def check() -> None:
        async with db.system() as session:
            revision = await session.scalar(text("SELECT max(version_num) FROM alembic_version"))
        if revision is None or revision < needed:
            raise SchemaBehind(f"the schema is at {revision}, this version needs {needed}: run its migrations")

    return check
