"""A facility's settings and usage over HTTP."""

from typing import Annotated

from codetect_shared.db import SessionDep
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import CurrentPrincipal, Principal, Role, StepUpRequired, require
from fastapi import APIRouter

from codetect_ingest import problems, quota, schemas_life, settings_service
from codetect_ingest.routes import IngestDep

Admin = Annotated[Principal, require(Role.ADMIN)]
FreshAdmin = Annotated[Principal, require(Role.ADMIN, fresh=True)]
facility = APIRouter(prefix="/api/v1/ingest", tags=["ingest"])


@facility.get("/settings")
async def get_ingest_settings(session: SessionDep, who: CurrentPrincipal) -> schemas_life.SettingsOut:
    """How the facility wants its images treated."""
    return await settings_service.show(session, who)


@facility.patch("/settings", responses=responses(Forbidden, StepUpRequired))
async def change_ingest_settings(
    session: SessionDep, who: FreshAdmin, body: schemas_life.SettingsPatch
) -> schemas_life.SettingsOut:
    """Change what is named (admins). `forget` holds for what comes; see `POST .../forget` for what came."""
    return await settings_service.change(session, who, body)


@facility.post("/forget", status_code=202, responses=responses(Forbidden, StepUpRequired, problems.NotForgetful))
async def forget_identities(session: SessionDep, who: FreshAdmin) -> schemas_life.SettingsOut:
    """Erase all sealed identities of the facility for good (admins); `forgetting` is true until none is left."""
    return await settings_service.forget(session, who)


@facility.get("/usage")
async def get_usage(session: SessionDep, ingest: IngestDep, who: CurrentPrincipal) -> schemas_life.UsageOut:
    """What the facility takes up, against its quotas."""
    found = await quota.usage(session, ingest.settings, who.facility_id)
    return schemas_life.UsageOut.model_validate(
        {kind: {"used": found.used[kind], "quota": found.quota[kind]} for kind in quota.KINDS}
    )
