"""The audit trail over HTTP: a facility's for its admins, the platform's for operators."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from codetect_shared.audit import AuditUnavailable, Outcome
from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, Unauthenticated, responses
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from sqlalchemy import Row

from codetect_auth.context import AuthDep
from codetect_auth.recording import record
from codetect_auth.routing import Admin
from codetect_auth.trail import exporting, listing, schemas
from codetect_auth.trail.listing import CursorInvalid, Filters

CSV, NDJSON = "text/csv", "application/fhir+ndjson"
router = APIRouter(prefix="/api/v1/audit-events", tags=["audit"])
PROBLEMS = responses(Unauthenticated, Forbidden, BadInput, AuditUnavailable)
Text = Annotated[str | None, Query(max_length=100)]


class Form(StrEnum):
    """How rows are given."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"


def filters(
    since: Annotated[AwareDatetime | None, Query(alias="from", description="At that time or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Before that time.")] = None,
    subject: Text = None,
    action: Text = None,
    outcome: Outcome | None = None,
    study: UUID | None = None,
    target: Annotated[str | None, Query(max_length=100, description="As `analysis/<id>`.")] = None,
    service: Text = None,
) -> Filters:
    """What the query names."""
    return Filters(since, until, subject, action, outcome, study, target, service)


def form_of(
    form: Annotated[Form | None, Query(alias="format", description="Stronger than `Accept`.")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Form:
    """The form that is asked for; of several in `Accept`, the first that there is."""
    if form:
        return form
    for kind in accept.lower().split(","):
        match kind.partition(";")[0].strip():
            case "text/csv":
                return Form.CSV
            case "application/fhir+ndjson" | "application/x-ndjson" | "application/ndjson":
                return Form.NDJSON
            case "application/json":
                return Form.JSON
    return Form.JSON


@router.get(
    "",
    response_model=schemas.AuditPage,
    responses={
        **responses(Unauthenticated, Forbidden, CursorInvalid, AuditUnavailable),
        200: {"model": schemas.AuditPage, "content": {CSV: {}, NDJSON: {}}, "description": "Rows, newest first."},
    },
)
async def list_audit_events(
    auth: AuthDep,
    who: Admin,
    chosen: Annotated[Filters, Depends(filters)],
    form: Annotated[Form, Depends(form_of)],
    cursor: Annotated[str | None, Query(max_length=32, description="`next` of the page before; JSON only.")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="JSON only: the other forms hold everything.")] = 100,
) -> Any:
    """Who did and saw what; newest first, JSON page by page, CSV and NDJSON (FHIR R4 AuditEvent, IHE BALP) all at once.

    Looking here is written down too.
    """
    named = chosen.named()
    if form is Form.JSON:
        async with auth.db.facility(who.facility_id) as session:
            rows, following = await listing.page(session, who.facility_id, chosen, cursor, limit)
            await record(session, who, "audit.read", None, found=len(rows), filters=named)
        return schemas.AuditPage(items=[_shown(row) for row in rows], next=following)
    async with auth.db.facility(who.facility_id) as session:
        await record(session, who, "audit.export", None, format=form.value, filters=named)
    batches = listing.batches(auth.db, who.facility_id, chosen)
    if form is Form.CSV:
        return _attachment(exporting.csv_of(batches), f"{CSV}; charset=utf-8; header=present", "audit.csv")
    host = f"{who.slug}.{auth.settings.base_domain}"
    return _attachment(exporting.ndjson_of(batches, host), NDJSON, "audit.ndjson")


@router.get("/chain", responses=PROBLEMS)
async def get_audit_chain(session: SessionDep, who: Admin) -> schemas.AuditState:
    """Where the chain ends, and which rows are missing; `codetect_auth admin audit verify` looks through all of it."""
    head, found, waiting = await listing.state(session, who.facility_id)
    return schemas.AuditState(
        facility_id=who.facility_id,
        number=head.number if head else 0,
        hash=head.hash.hex() if head else None,
        at=head.at if head else None,
        waiting=waiting,
        findings=[schemas.AuditFinding.model_validate(row, from_attributes=True) for row in found],
    )


def _shown(row: Row[Any]) -> schemas.AuditEvent:
    said = row.record | {"service_number": row.record["number"], "number": row.number}
    return schemas.AuditEvent.model_validate(said | {"id": row.event_id, "hash": row.hash.hex()})


def _attachment(body: AsyncIterator[bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(body, media_type=media_type, headers=headers)
