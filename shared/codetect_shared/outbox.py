"""The outbox: an event is a row written in the transaction of the change; the relay publishes rows in order.

Order holds per aggregate: `tell` locks the aggregate's row by raising its sequence before it inserts the event. A row
with `queue` goes to that queue alone, through the default exchange, and never into the stream: a "look" for a job
queue, or an event that one consumer alone is told.
"""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import structlog
from opentelemetry import propagate
from pydantic import SecretStr
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    and_,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from codetect_shared import bus, forgetting, telemetry, topology
from codetect_shared.db import AggregateRow, uuid7
from codetect_shared.events import AuditRecorded, Event, UploadImported

log = structlog.get_logger()
CHANNEL = "codetect_outbox"
LOCK = 0x0C0DE7EC
BATCH = 200
LOOK = "look"
KEPT_DAYS = topology.LOG_DAYS

outbox = Table(
    "outbox",
    MetaData(),
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("facility_id", Uuid, nullable=False),
    Column("queue", Text),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("traceparent", Text),
    Column("sent_at", DateTime(timezone=True)),
)
Index("outbox_unsent", outbox.c.id, postgresql_where=text("sent_at IS NULL"))
Index("outbox_sent", outbox.c.sent_at)


async def tell(session: AsyncSession, row: AggregateRow, *events: Event) -> None:
    """Record events about `row` in the transaction that changes it."""
    await session.flush()
    table = type(row)
    for event in events:
        raised = update(table).where(table.id == row.id).values(sequence=table.sequence + 1).returning(table.sequence)
        raised = raised.execution_options(synchronize_session=False)
        set_committed_value(row, "sequence", (await session.execute(raised)).scalar_one())
        await session.execute(
            insert(outbox).values(
                event_id=uuid7(),
                facility_id=row.facility_id,
                type=event.type,
                subject=f"{event.aggregate}/{row.id}",
                sequence=row.sequence,
                data=event.model_dump(mode="json"),
                time=datetime.now(UTC),
                traceparent=_traceparent(),
            )
        )


async def ask_to_look(session: AsyncSession, queue: str, row: AggregateRow) -> None:
    """Wake a worker for a job row once this transaction has committed."""
    await session.execute(
        insert(outbox).values(
            event_id=uuid7(),
            facility_id=row.facility_id,
            queue=queue,
            type=LOOK,
            subject=str(row.id),
            sequence=0,
            data={},
            time=datetime.now(UTC),
        )
    )


async def forget(session: AsyncSession, study_id: UUID, key: bytes) -> bool:
    """Take an erased study out of the events that were told of it; False while some are yet to be sent."""
    c = outbox.c
    of_study = c.data["study_id"].astext == str(study_id)
    of_upload = and_(c.type == UploadImported.type, c.data["studies"].contains([str(study_id)]))
    # What was done to a study stays known: who erased it, too.
    told = select(c.id, c.type, c.subject, c.data, c.sent_at).where(c.type != AuditRecorded.type)
    mine = told.where(or_(of_study, of_upload)).with_for_update()
    rows = (await session.execute(mine)).all()
    for row in rows:
        if row.sent_at:
            left = {
                "subject": forgetting.forgotten_subject(row.type, row.subject, key),
                "data": forgetting.forgotten(row.data, study_id, key),
                "traceparent": None,
            }
            await session.execute(update(outbox).where(c.id == row.id).values(left))
    return all(row.sent_at for row in rows)


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


SELECT_UNSENT = f"""
    SELECT id, event_id, facility_id, queue, type, subject, sequence, data::text AS data, time, traceparent
    FROM outbox WHERE sent_at IS NULL ORDER BY id LIMIT {BATCH}
"""  # noqa: S608 - a constant
MARK_SENT = "UPDATE outbox SET sent_at = clock_timestamp() WHERE id = ANY($1::bigint[])"


class Relay:
    """Publishes a service's outbox: one at a time by advisory lock, in order, with confirms, woken by NOTIFY.

    Lock, LISTEN and marking share one direct connection (no pooler in between), whose timeouts hand the lock over
    1 s after a kill and 11 s after a freeze.
    """

    def __init__(self, database_url: SecretStr, rabbitmq_url: SecretStr, service: str) -> None:
        self._database_url, self._rabbitmq_url, self._service = database_url, rabbitmq_url, service

    async def run(self) -> None:
        """Relay until cancelled; on any failure both connections are closed and the first unmarked row is next."""
        await bus.forever(f"{self._service}.relay", self._hold)

    async def _hold(self) -> None:
        db = await connect_directly(self._database_url)
        try:
            while not await db.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - standing by
                await asyncio.sleep(1)
            wake = asyncio.Event()
            await db.add_listener(CHANNEL, lambda *_: wake.set())
            db.add_termination_listener(lambda _: wake.set())
            async with bus.connect(self._rabbitmq_url, f"{self._service}.relay") as broker:
                channel = await broker.channel(publisher_confirms=True)
                exchange = await topology.declare(channel)
                bus.heed_cancel()
                while True:
                    wake.clear()
                    rows = await db.fetch(SELECT_UNSENT)
                    if rows:
                        await bus.publish_all(channel, exchange, [self._message(row) for row in rows])
                        await db.execute(MARK_SENT, [row["id"] for row in rows])
                        telemetry.OUTBOX_SENT.labels(self._service).inc(len(rows))
                        telemetry.OUTBOX_LAG.labels(self._service).observe(
                            (datetime.now(UTC) - rows[0]["time"]).total_seconds()
                        )
                        continue
                    try:
                        async with asyncio.timeout(3):
                            await wake.wait()
                    except TimeoutError:
                        if broker.is_closed:
                            raise bus.BrokerLost("relay's connection closed") from None
        finally:
            db.terminate()

    def _message(self, row: Any) -> tuple[str | None, str, Any]:
        if row["type"] == LOOK:
            return row["queue"], row["queue"], bus.look(row["subject"])
        envelope = bus.Envelope(
            row["event_id"],
            row["type"],
            row["time"],
            row["facility_id"],
            row["subject"],
            row["sequence"],
            json.loads(row["data"]),
            row["traceparent"],
        )
        return row["queue"], row["type"], bus.encode(envelope, self._service)


async def connect_directly(url: SecretStr) -> asyncpg.Connection:
    """A connection whose death is noticed by both ends within seconds."""
    connection = await asyncpg.connect(
        url.get_secret_value(),
        timeout=5,
        command_timeout=5,
        server_settings={
            "idle_session_timeout": "10000",
            "statement_timeout": "5000",
            "tcp_user_timeout": "10000",
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "2",
            "tcp_keepalives_count": "3",
        },
    )
    try:
        bus.heed_cancel()
    except asyncio.CancelledError:
        connection.terminate()
        raise
    return connection
