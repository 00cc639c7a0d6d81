"""A service that can't write down what it does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def without_audit(environment: Mapping[str, str], service: str) -> AsyncIterator[None]:
    """Inside, the service's application role may not add audit rows."""
    owner = await asyncpg.connect(environment[f"CODETECT_{service}_DATABASE_OWNER_URL"])
    app = environment[f"CODETECT_{service}_DATABASE_URL"].split("//")[1].split(":")[0]
    try:
        await owner.execute(f"REVOKE INSERT ON audit FROM {app}")
        yield
    finally:
        await owner.execute(f"GRANT INSERT ON audit TO {app}")
        await owner.close()
