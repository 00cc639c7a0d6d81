"""Postgres: one engine a role, sessions fenced to a facility, and the request's session."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import uuid_utils.compat
from fastapi import Depends, Request
from pydantic import SecretStr
from sqlalchemy import DateTime, event, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from codetect_shared.tokens import CurrentPrincipal

RESTED_S = 5.0  # a connection that nobody used for so long is tried first
SET_FACILITY = text("SELECT set_config('codetect.facility', :facility, true)")


def uuid7() -> UUID:
    """A new id; UUIDs of version 7 sort by time (RFC 9562)."""
    return uuid_utils.compat.uuid7()


# Column types as all services mean them: `class Base(DeclarativeBase): type_annotation_map = TYPES`.
TYPES: dict[Any, Any] = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, list[Any]: JSONB, list[str]: JSONB}


class FacilityRow:
    """A row that belongs to a facility: fenced by row-level security, see `migrations.fence`."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    facility_id: Mapped[UUID]


class AggregateRow(FacilityRow):
    """A row whose changes are told as events, in order of `sequence`."""

    sequence: Mapped[int] = mapped_column(default=0)


class Database:
    """The two roles of a service: `app` under row-level security, `system` beside it."""

    def __init__(self, app_url: SecretStr, system_url: SecretStr, pool_size: int = 5) -> None:
        self.app_engine = _pool(app_url, pool_size)
        self.system_engine = _pool(system_url, pool_size)
        self._app = async_sessionmaker(self.app_engine, expire_on_commit=False)
        self._system = async_sessionmaker(self.system_engine, expire_on_commit=False)

    @asynccontextmanager
    async def facility(self, facility_id: UUID) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and writes one facility's rows only; commits at the end."""
        async with self._app.begin() as session:
            await session.execute(SET_FACILITY, {"facility": str(facility_id)})
            yield session

    @asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncSession]:
        """A transaction across facilities: relay, reaper, claims, login look-up; never a request's data."""
        async with self._system.begin() as session:
            yield session

    async def ping(self) -> None:
        """Raise when Postgres does not answer."""
        async with self._system() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Return all connections."""
        await self.app_engine.dispose()
        await self.system_engine.dispose()


@asynccontextmanager
async def opened(app_url: SecretStr, system_url: SecretStr) -> AsyncIterator[Database]:
    """A database for a command: a connection a role, closed at the end."""
    db = Database(app_url, system_url, pool_size=1)
    try:
        yield db
    finally:
        await db.close()


def fencing(table: str) -> list[str]:
    """The statements that fence a table: a session sees its facility's rows only."""
    mine = "facility_id = nullif(current_setting('codetect.facility', true), '')::uuid"
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY facility ON {table} USING ({mine}) WITH CHECK ({mine})",
    ]


async def one_at_a_time(session: AsyncSession, name: str) -> None:
    """Of transactions that name the same thing, the second waits here until the first has ended."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


async def beside_others(session: AsyncSession, name: str) -> None:
    """Until this transaction ends, nobody has the name for itself (`one_at_a_time`), and others may do as we do."""
    await session.execute(select(func.pg_advisory_xact_lock_shared(func.hashtextextended(name, 0))))


def engine_of(url: str, *, command_timeout_s: float | None = None, **options: Any) -> AsyncEngine:
    """An engine whose connections asyncpg makes from the URL as it stands: `?sslmode=verify-full` and its like hold."""

    async def connect() -> Any:
        return await asyncpg.connect(url, timeout=5, command_timeout=command_timeout_s)

    # Values of a failed statement have no place in logs.
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **options)


def _pool(url: SecretStr, size: int) -> AsyncEngine:
    engine = engine_of(
        url.get_secret_value(),
        command_timeout_s=30,
        pool_size=size,
        max_overflow=size,
        pool_timeout=10,
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "checkin", _note)
    event.listen(engine.sync_engine, "checkout", _try)
    return engine


def _note(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    """A connection comes back to the pool."""
    record.info["idle_since"] = time.monotonic()


def _try(connection: Any, record: ConnectionPoolEntry, _: PoolProxiedConnection) -> None:
    """A connection that ended, or doesn't answer after a rest, is replaced before it is used.

    SQLAlchemy's own `pool_pre_ping` asks each time, with three round trips: a third of a short transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    if time.monotonic() - record.info.get("idle_since", time.monotonic()) > RESTED_S:
        try:
            connection.ping()
        except Exception as error:  # whatever it says, it is of no use, and others that rested aren't either
            raise InvalidatePoolError from error


async def get_session(request: Request, principal: CurrentPrincipal) -> AsyncIterator[AsyncSession]:
    """The request's transaction, fenced to the token's facility, committed before the answer is sent."""
    db: Database = request.app.state.db
    async with db.facility(principal.facility_id) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
