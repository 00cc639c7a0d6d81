"""HTTP: the registered models, and which version serves where."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared.db import Database, SessionDep
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import CurrentPrincipal, Role, StepUpRequired, require
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import comparing, failures, queries, registry, rollouts, serving
from codetect_inference.model_schemas import (
    EVERYWHERE,
    CanaryWish,
    Comparison,
    ModelChange,
    ModelList,
    ModelOut,
    RolloutList,
    RolloutOut,
    Where,
)
from codetect_inference.models import Kind, Model
from codetect_inference.schemas import PRINTABLE

models = APIRouter(prefix="/api/v1/models", tags=["models"])

operator = require(Role.OPERATOR, fresh=True)  # what they change reads the images of all facilities
watching = require(Role.OPERATOR)
Responses = dict[int | str, dict[str, Any]]
MODEL_EXISTS: Responses = {200: {"model": ModelOut, "description": "It is registered already."}}
REFUSED = responses(Forbidden, StepUpRequired, failures.ModelNotFound)
ENDING = responses(Forbidden, StepUpRequired, failures.ModelNotFound, failures.NotTakingPart)
UNFIT = responses(failures.ModelOutOfService, failures.ModelDoesNotRun)
ZIP = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["bundle"],
                    "properties": {"bundle": {"type": "string", "format": "binary", "description": "A zip."}},
                }
            }
        },
    }
}


def the_registry(request: Request) -> registry.Registry:
    """For what takes longer than a transaction may last."""
    found: registry.Registry = request.app.state.registry
    return found


RegistryDep = Annotated[registry.Registry, Depends(the_registry)]
ModelName = Annotated[str, Path(max_length=63, pattern=PRINTABLE)]
ModelVersion = Annotated[str, Path(max_length=63, pattern=PRINTABLE)]
Place = Annotated[UUID | None, Query(alias="facility_id", description=EVERYWHERE)]


async def shown(session: AsyncSession, who: CurrentPrincipal, *rows: Model) -> list[ModelOut]:
    """Models as a facility sees them."""
    found = await serving.serving(session, who.facility_id)
    serve = {model.id for model in found.active.values()} | {m.id for m, share in found.canary.values() if share}
    return [ModelOut.of(row, row.id in serve) for row in rows]


@models.get("", summary="List models")
async def list_models(session: SessionDep, who: CurrentPrincipal) -> ModelList:
    """Every registered version of every model, with its card."""
    rows = await session.scalars(select(Model).order_by(Model.name, Model.created_at.desc()))
    return ModelList(items=await shown(session, who, *rows))


@models.get("/rollouts", summary="List what serves where", dependencies=[watching], responses=responses(Forbidden))
async def list_rollouts(session: SessionDep) -> RolloutList:
    """Active versions, shadows and canaries, of all facilities and of single ones."""
    return RolloutList(items=[out(one) for one in await rollouts.everywhere(session)])


@models.get("/{name}/{version}", summary="Get a model", responses=responses(failures.ModelNotFound))
async def get_model(session: SessionDep, who: CurrentPrincipal, name: ModelName, version: ModelVersion) -> ModelOut:
    """One version, with its card."""
    (found,) = await shown(session, who, await queries.model(session, name, version))
    return found


@models.post(
    "",
    summary="Register a model",
    status_code=201,
    dependencies=[operator],
    responses=MODEL_EXISTS
    | responses(
        Forbidden,
        StepUpRequired,
        failures.LengthNeeded,
        failures.BundleTooLarge,
        failures.BundleNotAccepted,
        failures.ModelVersionTaken,
    ),
    openapi_extra=ZIP,
)
async def register_model(
    request: Request, principal: CurrentPrincipal, known: RegistryDep, response: Response
) -> ModelOut:
    """Upload a signed bundle as a zip. It is checked and run once before anything is kept.

    The first version of a name serves all facilities at once; later ones when they are activated.
    """
    row, is_new = await known.register(principal, await registry.received(request))
    response.status_code = 201 if is_new else 200
    db: Database = request.app.state.db
    async with db.facility(principal.facility_id) as session:
        (found,) = await shown(session, principal, row)
    return found


@models.patch(
    "/{name}/{version}", summary="Take a model in or out of service", dependencies=[operator], responses=REFUSED
)
async def change_model(
    session: SessionDep, who: CurrentPrincipal, name: ModelName, version: ModelVersion, body: ModelChange
) -> ModelOut:
    """A version out of service reads no new studies; the one activated before it does. Its results stay."""
    (found,) = await shown(session, who, await registry.switch(session, who, name, version, body.active))
    return found


@models.post(
    "/{name}/{version}/activate", summary="Activate a version", dependencies=[operator], responses=REFUSED | UNFIT
)
async def activate_model(
    who: CurrentPrincipal, known: RegistryDep, name: ModelName, version: ModelVersion, body: Where
) -> RolloutOut:
    """It reads new studies from now on, once it has been seen to load and run; else what served goes on."""
    return out(await known.roll_out(who, name, version, rollouts.Wish(Kind.ACTIVE, body.facility_id)))


@models.post("/{name}/{version}/shadow", summary="Start a shadow", dependencies=[operator], responses=REFUSED | UNFIT)
async def start_shadow(
    who: CurrentPrincipal, known: RegistryDep, name: ModelName, version: ModelVersion, body: Where
) -> RolloutOut:
    """It reads new studies beside the version that serves; its results are shown to nobody, and compared."""
    return out(await known.roll_out(who, name, version, rollouts.Wish(Kind.SHADOW, body.facility_id)))


@models.delete(
    "/{name}/{version}/shadow",
    summary="End a shadow",
    status_code=204,
    dependencies=[operator],
    responses=ENDING,
)
async def end_shadow(
    session: SessionDep, who: CurrentPrincipal, name: ModelName, version: ModelVersion, place: Place = None
) -> None:
    """It reads no more new studies; what was compared stays."""
    await rollouts.stop(session, who, name, version, rollouts.Wish(Kind.SHADOW, place))


@models.post("/{name}/{version}/canary", summary="Start a canary", dependencies=[operator], responses=REFUSED | UNFIT)
async def start_canary(
    who: CurrentPrincipal, known: RegistryDep, name: ModelName, version: ModelVersion, body: CanaryWish
) -> RolloutOut:
    """It reads a share of the new studies instead of the version that serves, or another share from now on."""
    return out(await known.roll_out(who, name, version, rollouts.Wish(Kind.CANARY, body.facility_id, body.share)))


@models.delete(
    "/{name}/{version}/canary",
    summary="End a canary",
    status_code=204,
    dependencies=[operator],
    responses=ENDING,
)
async def end_canary(
    session: SessionDep, who: CurrentPrincipal, name: ModelName, version: ModelVersion, place: Place = None
) -> None:
    """The version that serves reads all new studies again."""
    await rollouts.stop(session, who, name, version, rollouts.Wish(Kind.CANARY, place))


@models.post(
    "/{name}/rollback",
    summary="Roll back",
    dependencies=[operator],
    responses=responses(Forbidden, StepUpRequired, failures.NothingBefore),
)
async def roll_back(session: SessionDep, who: CurrentPrincipal, name: ModelName, body: Where) -> RolloutOut:
    """End the canary there, if one runs; else the version that served before serves again. Answers what serves now."""
    return out(await rollouts.roll_back(session, who, name, body.facility_id))


@models.get(
    "/{name}/{version}/comparison",
    summary="Compare a shadow",
    dependencies=[watching],
    responses=responses(Forbidden, failures.ModelNotFound),
)
async def compare(request: Request, who: CurrentPrincipal, name: ModelName, version: ModelVersion) -> Comparison:
    """A candidate's findings beside the shown ones, of the same versions of the same studies: counts and means."""
    db: Database = request.app.state.db
    return await comparing.compare(db, who, name, version)


def out(one: rollouts.Standing) -> RolloutOut:
    """What takes part, as the API says it."""
    kind = Kind(one.rollout.kind)
    return RolloutOut(
        name=one.model.name,
        version=one.model.version,
        kind=kind,
        facility_id=one.rollout.for_facility,
        share=one.rollout.share if kind is Kind.CANARY else None,
        since=one.rollout.created_at,
        before=one.before,
    )
