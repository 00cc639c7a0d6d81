"""Cancelled or erased analyses: the API tells with a NOTIFY, so that whoever runs one looks at once.

A wake-up like any other: Postgres' rows say whether to stop, and the worker looks once a second all the same.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from codetect_shared import bus
from codetect_shared.outbox import connect_directly
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

CHANNEL = "codetect_analysis_stopped"
PING_S = 5  # the server ends direct connections that say nothing for ten seconds


async def tell_stopped(session: AsyncSession, analysis_id: UUID) -> None:
    """Tell the workers, when this transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, str(analysis_id))))


class Stops:
    """Listens while anything runs, with one connection; an idle worker holds none."""

    def __init__(self, url: SecretStr) -> None:
        self._url = url
        self._running: set[tuple[str, asyncio.Future[None]]] = set()
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def of(self, analysis_id: UUID) -> Iterator[asyncio.Future[None]]:
        """Done once somebody tells that this analysis is to stop."""
        one = (str(analysis_id), asyncio.get_running_loop().create_future())
        self._running.add(one)
        if self._listening is None:
            self._listening = asyncio.create_task(bus.forever("stops", self._listen))
        try:
            yield one[1]
        finally:
            self._running.discard(one)
            if not self._running and self._listening:
                self._listening.cancel()
                self._listening = None

    async def _listen(self) -> None:
        db = await connect_directly(self._url)
        try:
            await db.add_listener(CHANNEL, lambda *told: self._heard(told[-1]))
            while True:
                await asyncio.sleep(PING_S)
                await db.execute("SELECT 1")
        finally:
            db.terminate()

    def _heard(self, analysis_id: str) -> None:
        for name, stopped in self._running:
            if name == analysis_id and not stopped.done():
                stopped.set_result(None)
