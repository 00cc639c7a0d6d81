"""Uploads and studies over HTTP."""

from typing import Annotated
from uuid import UUID

from codetect_shared import audit
from codetect_shared.db import SessionDep
from codetect_shared.identifiers import HoldsIdentifier
from codetect_shared.problems import Forbidden, ServiceUnavailable, responses
from codetect_shared.tokens import CurrentPrincipal, Principal, Role, require
from fastapi import APIRouter, Depends, Header, Query, Request

from codetect_ingest import problems, schemas, service

Submitter = Annotated[Principal, require(Role.ADMIN, Role.MEMBER, Role.API_CLIENT)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next` of the part before.")]


def get_ingest(request: Request) -> service.Ingest:
    """What the process has open."""
    found: service.Ingest = request.app.state.ingest
    return found


IngestDep = Annotated[service.Ingest, Depends(get_ingest)]
uploads = APIRouter(prefix="/api/v1/uploads", tags=["uploads"])
studies = APIRouter(prefix="/api/v1/studies", tags=["studies"])


QUOTA = (problems.FacilityIsSuspended, problems.StorageQuotaReached, problems.StudyQuotaReached, problems.TooManyJobs)


@uploads.post("", status_code=201, responses=responses(Forbidden, problems.KeyReused, HoldsIdentifier, *QUOTA))
async def open_upload(
    session: SessionDep,
    ingest: IngestDep,
    who: Submitter,
    body: schemas.UploadRequest,
    idempotency_key: IdempotencyKey = None,
) -> schemas.UploadOpenedOut:
    """Open an upload: one presigned POST policy for a whole folder of files."""
    return await service.open_upload(session, ingest, who, body, idempotency_key)


@uploads.post(
    "/{upload_id}/renew", responses=responses(problems.UploadNotFound, problems.UploadExpired, problems.WrongState)
)
async def renew_upload(
    session: SessionDep, ingest: IngestDep, who: Submitter, upload_id: UUID
) -> schemas.UploadOpenedOut:
    """More time for an open upload: a new policy for the same keys."""
    return await service.renew_upload(session, ingest, upload_id)


@uploads.post(
    "/{upload_id}/complete",
    status_code=202,
    responses=responses(
        problems.UploadNotFound,
        problems.UploadExpired,
        problems.UploadEmpty,
        problems.UploadTooLarge,
        problems.ClaimMismatch,
        ServiceUnavailable,
        *QUOTA,
    ),
)
async def complete_upload(ingest: IngestDep, who: Submitter, upload_id: UUID, body: schemas.Claim) -> schemas.UploadOut:
    """All is posted: freeze it and import it. Asked again, the answer is the same."""
    return await service.complete_upload(ingest, who, upload_id, body)


@uploads.get("/{upload_id}", responses=responses(problems.UploadNotFound))
async def get_upload(session: SessionDep, upload_id: UUID) -> schemas.UploadOut:
    """Where an upload stands, with the outcome of each file."""
    return await service.show_upload(session, upload_id)


@studies.get("", responses=responses(problems.CursorInvalid))
async def list_studies(
    session: SessionDep,
    who: CurrentPrincipal,
    patient_id: Annotated[
        str | None, Query(max_length=64, pattern=schemas.PRINTABLE, description="The pseudonym.")
    ] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> schemas.StudyPage:
    """The facility's studies, newest first; of one patient where that is asked for."""
    page = await service.list_studies(session, cursor, limit, patient_id)
    await audit.record_once(session, who, "study.search")
    return page


@studies.get("/{study_id}", responses=responses(problems.StudyNotFound))
async def get_study(session: SessionDep, who: CurrentPrincipal, study_id: UUID) -> schemas.StudyOut:
    """One study with its series."""
    study = await service.show_study(session, study_id)
    await audit.record_once(session, who, "study.read", study_id=study_id)
    return study
