"""The projector: follows the change stream, and puts events, figures and cursor into one transaction.

One projector works at a time (advisory lock). Should two believe they do, the cursor lets only one commit: it moves
from the place where a projector read it, or not at all.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import structlog
from codetect_shared import bus, outbox, streams, telemetry
from codetect_shared.bus import Envelope
from opentelemetry import propagate, trace
from prometheus_client import Gauge, Histogram
from pydantic import SecretStr

from codetect_analytics import apply, models, rebuild
from codetect_analytics.fold import NO_FIGURES

log = structlog.get_logger()
NAME = "analytics.projector"
LOCK = 0x0C0DEF16
BATCH, HELD = 500, 1000
QUIET_S = 3
MOVE = """
    UPDATE cursor SET epoch = $1, "offset" = $2, anchor = $3
    WHERE epoch = $4 AND "offset" = $5 AND figures_version = $6
"""
LAG = Histogram("codetect_projector_lag_seconds", "From an event to its figures.", buckets=telemetry.FAST)
BEHIND = Gauge("codetect_projector_behind_seconds", "Age of the oldest event in hand that is in no figure yet.")
EPOCH = Gauge("codetect_projector_epoch", "How many times the change stream was found to be another one.")

Told = tuple[streams.Cursor, Envelope]


class CursorTaken(ConnectionError):
    """Another projector moved the cursor, or figures of another version were swapped in."""


@dataclass(frozen=True)
class Place:
    """The cursor's row: which stream, and its last message that was applied."""

    epoch: int
    offset: int
    anchor: UUID | None

    def after(self) -> streams.Cursor | int:
        """Where to go on reading."""
        return streams.Cursor(self.offset, self.anchor) if self.anchor else self.offset + 1


class Projector:
    """Follows the stream until cancelled; `facts` are what /readyz tells."""

    def __init__(self, system_url: SecretStr, rabbitmq_url: SecretStr, app_role: str) -> None:
        self._system_url, self._rabbitmq_url, self._app_role = system_url, rabbitmq_url, app_role
        self.facts: dict[str, Any] = {"projector": "starting", "epoch": None, "offset": None, "behind_s": None}

    async def run(self) -> None:
        """Project until cancelled, through every interruption."""
        await bus.forever(NAME, self._hold)

    async def check(self) -> None:
        """Raise unless this process follows the stream, or stands by for one that does."""
        if self.facts["projector"] not in ("following", "standby"):
            raise ConnectionError(self.facts["projector"])

    async def _hold(self) -> None:
        db = await outbox.connect_directly(self._system_url)
        try:
            while not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                self.facts["projector"] = "standby"
                await asyncio.sleep(1)
            if await db.fetchval("SELECT figures_version FROM cursor") != models.FIGURES_VERSION:
                self.facts["projector"] = "rebuilding"
                await rebuild.rebuild(db, self._app_role)
            place = Place(**await db.fetchrow('SELECT epoch, "offset", anchor FROM cursor'))
            self.facts["projector"] = "connecting"
            try:
                await self._project(db, place)
            except streams.StreamReplaced as reason:
                log.warning("the change stream is another one: reading it from its start", reason=str(reason))
        finally:
            self.facts["projector"] = "interrupted"
            db.terminate()

    async def _project(self, db: asyncpg.Connection, place: Place) -> None:
        EPOCH.set(place.epoch)
        self.facts.update(epoch=place.epoch, offset=place.offset)
        try:
            async with aclosing(self._batches(db, place)) as batches:
                async for batch in batches:
                    place = await self._apply(db, place, batch)
                    self.facts.update(epoch=place.epoch, offset=place.offset)
        except streams.StreamReplaced:
            await self._move(db, place, Place(place.epoch + 1, -1, None))
            raise

    async def _batches(self, db: asyncpg.Connection, place: Place) -> AsyncGenerator[list[Told]]:
        """What came, as much as is there. A query in quiet times keeps the lock's connection from ending."""
        arrived: asyncio.Queue[Told | Exception] = asyncio.Queue(HELD)

        async def read() -> None:
            try:
                async for told in streams.follow(self._rabbitmq_url, NAME, place.after()):
                    await arrived.put(told)
            except Exception as error:
                await arrived.put(error)

        reading = asyncio.create_task(read())
        try:
            while True:
                batch: list[Told] = []
                try:
                    async with asyncio.timeout(QUIET_S):
                        item = await arrived.get()
                except TimeoutError:
                    await db.execute("SELECT 1")
                    self._following(0)
                    continue
                while not isinstance(item, Exception):
                    batch.append(item)
                    if arrived.empty() or len(batch) == BATCH:
                        break
                    item = arrived.get_nowait()
                if batch:
                    self._following(_age_s(batch[0][1]))
                    yield batch
                if isinstance(item, Exception):
                    raise item
                if arrived.empty():
                    self._following(0)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _apply(self, db: asyncpg.Connection, place: Place, batch: list[Told]) -> Place:
        """Apply a batch in one transaction; where Postgres can't take it, one by one, without what it can't take."""
        cursor = batch[-1][0]
        there = replace(place, offset=cursor.offset, anchor=cursor.event_id)
        told = [envelope for _, envelope in batch if envelope.type not in NO_FIGURES]
        try:
            with _span(told):
                async with db.transaction():
                    await self._move(db, place, there)
                    fresh = await apply.keep(db, told)
                    await apply.count(db, models.FIGURES, fresh)
        except (asyncpg.DataError, ValueError, ArithmeticError) as error:
            if len(batch) == 1:
                log.error("event passed over", event_id=str(cursor.event_id), exc_info=error)
                await self._move(db, place, there)
                _count(told, "refused")
                return there
            for item in batch:
                place = await self._apply(db, place, [item])
            return place
        _count(fresh, "applied")
        for envelope in fresh:
            LAG.observe(_age_s(envelope))
        return there

    async def _move(self, db: asyncpg.Connection, place: Place, there: Place) -> None:
        """Move the cursor from where we read it; its row is the lock under which figures change."""
        here = (place.epoch, place.offset, models.FIGURES_VERSION)
        if await db.execute(MOVE, there.epoch, there.offset, there.anchor, *here) != "UPDATE 1":
            raise CursorTaken(str(place))

    def _following(self, behind_s: float) -> None:
        self.facts.update(projector="following", behind_s=round(behind_s, 3))
        BEHIND.set(behind_s)


def _age_s(envelope: Envelope) -> float:
    return max((datetime.now(UTC) - envelope.time).total_seconds(), 0)


def _count(told: Iterable[Envelope], outcome: str) -> None:
    for envelope in told:
        telemetry.EVENTS_APPLIED.labels(NAME, envelope.type, outcome).inc()


def _span(told: Iterable[Envelope]) -> Any:
    """One span for a batch, linked to the traces that its events come from."""
    contexts = (propagate.extract({"traceparent": e.traceparent}) for e in told if e.traceparent)
    links = [trace.Link(trace.get_current_span(context).get_span_context()) for context in contexts]
    return telemetry.tracer.start_as_current_span(NAME, kind=trace.SpanKind.CONSUMER, links=links)
