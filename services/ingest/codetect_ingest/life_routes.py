"""Erasing studies and holding them, over HTTP."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import Principal, Role, StepUpRequired, require
from fastapi import APIRouter, BackgroundTasks

from codetect_ingest import erasing, problems, schemas, schemas_life
from codetect_ingest.facility_routes import Admin, FreshAdmin
from codetect_ingest.routes import IngestDep

Eraser = Annotated[Principal, require(Role.ADMIN, Role.MEMBER, Role.API_CLIENT, fresh=True)]
life = APIRouter(prefix="/api/v1/studies", tags=["studies"])


@life.delete(
    "/{study_id}",
    status_code=202,
    responses=responses(Forbidden, StepUpRequired, problems.StudyNotFound, problems.UnderLegalHold),
)
async def erase_study(
    session: SessionDep, ingest: IngestDep, who: Eraser, study_id: UUID, after: BackgroundTasks
) -> schemas_life.ErasureOut:
    """Erase a study for good: it is gone with the answer, its bytes follow. Asked again, the answer says how far."""
    erasure = await erasing.erase(session, who, study_id)
    if erasure.emptied_at is None:
        after.add_task(erasing.empty, ingest, erasure)
    return schemas_life.ErasureOut.model_validate(erasure)


@life.put("/{study_id}/legal-hold", responses=responses(Forbidden, problems.StudyNotFound))
async def hold_study(session: SessionDep, who: Admin, study_id: UUID) -> schemas.StudyOut:
    """Hold a study: neither people nor retention erase it (admins)."""
    return await erasing.hold(session, who, study_id, held=True)


@life.delete("/{study_id}/legal-hold", responses=responses(Forbidden, StepUpRequired, problems.StudyNotFound))
async def release_study(session: SessionDep, who: FreshAdmin, study_id: UUID) -> schemas.StudyOut:
    """Lift the hold (admins); a study that is older than the facility keeps them goes with the next round."""
    return await erasing.hold(session, who, study_id, held=False)
