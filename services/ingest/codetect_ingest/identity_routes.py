"""Identities over HTTP, for those with the right `identity`."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import CurrentPrincipal, Principal, Role, Scope, authenticated
from fastapi import APIRouter, Depends, Path

from codetect_ingest import looking, problems, schemas_life
from codetect_ingest.routes import IngestDep

MOST_FILES = 2**31 - 1  # as many as a number in the database can count
identities = APIRouter(prefix="/api/v1/studies", tags=["identities"])
of_uploads = APIRouter(prefix="/api/v1/uploads", tags=["identities"])


async def reader(who: Annotated[Principal, Depends(authenticated)]) -> Principal:
    """Whoever may read, though the method isn't GET: a list of ids doesn't fit a URL."""
    if who.role is Role.API_CLIENT and Scope.READ not in who.scopes:
        raise Forbidden(f"This API client lacks the scope `{Scope.READ}`.")
    return who


@identities.post("/identities", responses=responses(Forbidden))
async def list_identities(
    ingest: IngestDep, who: Annotated[Principal, Depends(reader)], body: schemas_life.IdentitiesRequest
) -> schemas_life.IdentitiesOut:
    """Whose studies these are; each look is audited."""
    return await looking.list_identities(ingest, who, body.ids)


@identities.post("/find", responses=responses(Forbidden))
async def find_studies(
    ingest: IngestDep, who: Annotated[Principal, Depends(reader)], body: schemas_life.FindRequest
) -> schemas_life.FoundOut:
    """Find studies by accession number or StudyInstanceUID; in no address, since addresses are logged. Audited."""
    return await looking.find(ingest, who, body)


@identities.get(
    "/{study_id}/identity", responses=responses(Forbidden, problems.StudyNotFound, problems.IdentityForgotten)
)
async def get_identity(
    session: SessionDep, ingest: IngestDep, who: CurrentPrincipal, study_id: UUID
) -> schemas_life.IdentityOut:
    """Whose study this is; the look is audited."""
    return await looking.show_identity(session, ingest, who, study_id)


@of_uploads.get("/{upload_id}/reference", responses=responses(Forbidden, problems.UploadNotFound))
async def get_reference(
    session: SessionDep, ingest: IngestDep, who: CurrentPrincipal, upload_id: UUID
) -> schemas_life.ReferenceOut:
    """An upload's reference, for whoever wrote it; for others with the right `identity` (audited)."""
    return await looking.show_reference(session, ingest, who, upload_id)


@of_uploads.get("/{upload_id}/files/{number}/report", responses=responses(problems.ReportNotFound))
async def get_report(
    session: SessionDep, who: CurrentPrincipal, upload_id: UUID, number: Annotated[int, Path(ge=1, le=MOST_FILES)]
) -> schemas_life.ReportOut:
    """What de-identification did to a file: which attributes it removed, replaced or kept."""
    return await looking.show_report(session, who, upload_id, number)
