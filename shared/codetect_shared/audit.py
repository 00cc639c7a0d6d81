"""The audit trail: who looked at or changed what, written in the transaction of what it records.

Rows are numbered per facility without gaps, so that one that went missing shows, and told to auth, which chains them
(docs/audit.md). When a row can't be written, what it would have recorded doesn't happen: the caller gets 503.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_shared import telemetry, topology
from codetect_shared.db import uuid7
from codetect_shared.events import AuditRecorded
from codetect_shared.origin import ORIGIN
from codetect_shared.problems import Forbidden, ServiceUnavailable
from codetect_shared.tokens import Principal

log = structlog.get_logger()
Outcome = Literal["success", "refused", "failure"]
_metadata = MetaData()

audit = Table(
    "audit",
    _metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("facility_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("study_id", Uuid),
    Column("outcome", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("service", Text, nullable=False),
    Column("event_id", Uuid, nullable=False, unique=True, server_default=func.gen_random_uuid()),
    Column("session_id", Uuid),
    Column("target", Text),
    Column("address", Text),
    Column("request_id", Text),
    UniqueConstraint("facility_id", "sequence"),
)
audit_counters = Table(
    "audit_counters",
    _metadata,
    Column("facility_id", Uuid, primary_key=True),
    Column("sequence", Integer, nullable=False),
)


class AuditUnavailable(ServiceUnavailable):
    """This can't be written down at the moment, so it was not done; try again in a few seconds."""

    type: ClassVar[str] = "urn:codetect:problem:audit-unavailable"


@dataclass(frozen=True)
class Actor:
    """Who did something without an access token: somebody at the door, a command, the platform itself."""

    subject: str
    facility_id: UUID
    role: str
    session_id: UUID | None = None


# One statement: number, rows and events. The counter's row stays locked until the commit, so numbers have no gaps, and
# events get into the outbox in the order of their numbers.
PAYLOAD = """jsonb_build_object(
    'facility_id', facility_id, 'service', service, 'number', sequence,
    'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'subject', subject, 'role', role, 'session_id', session_id, 'action', action, 'outcome', outcome,
    'target', target, 'study_id', study_id, 'address', address, 'request_id', request_id, 'detail', detail)"""
SUBJECT = f"'{AuditRecorded.aggregate}/' || facility_id || '/' || service"
RECORD = text(f"""
    WITH numbered AS (
        INSERT INTO audit_counters AS c (facility_id, sequence) VALUES (CAST(:facility_id AS uuid), :count)
        ON CONFLICT (facility_id) DO UPDATE SET sequence = c.sequence + excluded.sequence
        RETURNING c.sequence - CAST(:count AS int) AS before
    ), written AS (
        INSERT INTO audit (facility_id, sequence, event_id, study_id, target, subject, role, session_id, action,
                           outcome, address, request_id, detail)
        SELECT CAST(:facility_id AS uuid), before + n, event_id, study_id, target, CAST(:subject AS text),
               CAST(:role AS text), CAST(:session_id AS uuid), CAST(:action AS text), CAST(:outcome AS text),
               CAST(:address AS text), CAST(:request_id AS text), CAST(:detail AS jsonb)
        FROM numbered, unnest(CAST(:event_ids AS uuid[]), CAST(:study_ids AS uuid[]), CAST(:targets AS text[]))
             WITH ORDINALITY AS given (event_id, study_id, target, n)
        RETURNING *
    )
    INSERT INTO outbox (event_id, facility_id, queue, type, subject, sequence, data, time, traceparent)
    SELECT event_id, facility_id, '{topology.AUDIT.name}', '{AuditRecorded.type}', {SUBJECT}, sequence, {PAYLOAD},
           at, CAST(:traceparent AS text)
    FROM written ORDER BY sequence
""")  # noqa: S608 - constants


async def record(
    session: AsyncSession,
    who: Principal | Actor,
    action: str,
    *,
    study_id: UUID | None = None,
    target: str | None = None,
    outcome: Outcome = "success",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one row: `action` is the field's own (`identity.read`, `study.erase`), `target` what it was done to
    (`analysis/<id>`; a study by itself if none is named), `detail` small facts, never PHI. Raises AuditUnavailable.

    Of two transactions at once in one facility the second waits for the first, so that numbers have no gaps: record
    as late in a transaction as may be.
    """
    await _write(session, who, action, [(study_id, target)], outcome, detail)


async def record_each(
    session: AsyncSession,
    who: Principal | Actor,
    action: str,
    study_ids: Sequence[UUID | None],
    *,
    outcome: Outcome = "success",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one row for each of these studies, as `record` does."""
    if study_ids:
        await _write(session, who, action, [(study_id, None) for study_id in study_ids], outcome, detail)


async def record_once(
    session: AsyncSession,
    who: Principal | Actor,
    action: str,
    *,
    study_id: UUID | None = None,
    target: str | None = None,
    outcome: Outcome = "success",
    detail: dict[str, Any] | None = None,
    within_s: int = 60,
) -> None:
    """As `record`, unless the same was written within a minute: who scrolls through 300 slices looks at one study once.

    DICOM's "Instances Accessed" sums up alike (PS3.15 A.5.3.6).
    """
    t, origin, about = audit.c, ORIGIN.get(), target or _study(study_id)
    said = (
        (t.facility_id == who.facility_id) & (t.subject == who.subject) & (t.action == action),
        t.target == about if about else t.target.is_(None),  # by the index; IS NOT DISTINCT FROM isn't
        t.session_id.is_not_distinct_from(who.session_id) & t.address.is_not_distinct_from(origin.address),
        t.at > func.clock_timestamp() - timedelta(seconds=within_s),
    )
    try:
        known = await session.scalar(select(t.id).where(*said).limit(1))
    except SQLAlchemyError as error:
        raise _unavailable(action, error) from error
    if known is None:
        await record(session, who, action, study_id=study_id, target=target, outcome=outcome, detail=detail)


async def _write(
    session: AsyncSession,
    who: Principal | Actor,
    action: str,
    about: Sequence[tuple[UUID | None, str | None]],
    outcome: Outcome,
    detail: dict[str, Any] | None,
) -> None:
    origin = ORIGIN.get()
    values = {
        "facility_id": who.facility_id,
        "count": len(about),
        "event_ids": [uuid7() for _ in about],
        "study_ids": [study_id for study_id, _ in about],
        "targets": [target or _study(study_id) for study_id, target in about],
        "subject": who.subject,
        "role": str(who.role),
        "session_id": who.session_id,
        "action": action,
        "outcome": outcome,
        "address": origin.address,
        "request_id": origin.request_id,
        "detail": json.dumps(detail or {}),
        "traceparent": telemetry.trace_headers().get("traceparent"),
    }
    try:
        await session.execute(RECORD, values)
    except SQLAlchemyError as error:
        raise _unavailable(action, error) from error


def _study(study_id: UUID | None) -> str | None:
    return f"study/{study_id}" if study_id else None


def _unavailable(action: str, error: SQLAlchemyError) -> AuditUnavailable:
    log.error("not written down, so not done", action=action, error=type(getattr(error, "orig", error)).__name__)
    return AuditUnavailable()


def record_refusals(app: FastAPI) -> None:
    """Have the application write down whom it refuses something (403): who, and which route."""

    @app.exception_handler(Forbidden)
    async def on_forbidden(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Forbidden)
        who: Principal | None = getattr(request.state, "principal", None)
        if who is not None:
            detail = {"method": request.method, "route": getattr(request.scope.get("route"), "path", None)}
            try:
                async with request.app.state.db.facility(who.facility_id) as session:
                    await record(session, who, "access.refused", outcome="refused", detail=detail)
            except (AuditUnavailable, SQLAlchemyError, OSError) as problem:  # it stays refused all the same
                log.error("refusal not written down", error=repr(problem), **detail)
        return error.response()
