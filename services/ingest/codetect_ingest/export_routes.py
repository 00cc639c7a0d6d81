"""Exports over HTTP: a study as a zip, a list of studies as a table."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from codetect_shared.problems import Forbidden, ServiceUnavailable, responses
from codetect_shared.tokens import CurrentPrincipal
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime

from codetect_ingest import exporting, looking, problems, querying, tables
from codetect_ingest.exporting import View
from codetect_ingest.routes import IngestDep

ZIP, CSV, PARQUET = "application/zip", "text/csv", "application/vnd.apache.parquet"
exports = APIRouter(prefix="/api/v1/studies", tags=["exports"])


class Form(StrEnum):
    """How a table is written."""

    CSV = "csv"
    PARQUET = "parquet"


@exports.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {CSV: {}, PARQUET: {}}, "description": "The table."}, **responses(Forbidden)},
)
async def export_studies(
    ingest: IngestDep,
    who: CurrentPrincipal,
    form: Annotated[Form, Query(alias="format")] = Form.CSV,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="Came then or later.")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Came before.")] = None,
    patient_id: Annotated[str | None, Query(max_length=64, description="The pseudonym.")] = None,
    identities: Annotated[bool, Query(description="With who they are; needs the right `identity`, audited.")] = False,
) -> StreamingResponse:
    """The facility's studies as a table, one row a series, newest first."""
    if identities:
        looking.require_identity(who)
    query = querying.Query(since, until, patient_id, identities)
    rows = await querying.begin(ingest, who, query)
    if form is Form.CSV:
        return _attachment(tables.csv_of(query.columns, rows), f"{CSV}; charset=utf-8; header=present", "studies.csv")
    return _attachment(tables.parquet_of(query.columns, rows), PARQUET, "studies.parquet")


@exports.get(
    "/{study_id}/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {ZIP: {}}, "description": "The zip."},
        **responses(Forbidden, problems.StudyNotFound, problems.IdentityForgotten, ServiceUnavailable),
    },
)
async def export_study(
    ingest: IngestDep, who: CurrentPrincipal, study_id: UUID, view: View = View.DEIDENTIFIED
) -> StreamingResponse:
    """A study's DICOM files in a zip; `original`, as they came, needs the right `identity`. Audited."""
    return _attachment(await exporting.export(ingest, who, study_id, view), ZIP, f"{study_id}.zip")


def _attachment(body: object, media_type: str, name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(body, media_type=media_type, headers=headers)  # type: ignore[arg-type]
