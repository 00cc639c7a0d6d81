"""Destinations of results over HTTP."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, responses
from codetect_shared.tokens import Principal, Role, StepUpRequired, require
from fastapi import APIRouter

from codetect_ingest import destinations, schemas
from codetect_ingest.models import DeliveryState
from codetect_ingest.routes import IngestDep

Admin = Annotated[Principal, require(Role.ADMIN)]
FreshAdmin = Annotated[Principal, require(Role.ADMIN, fresh=True)]
router = APIRouter(prefix="/api/v1/ingest", tags=["destinations"], responses=responses(Forbidden))


@router.get("/destinations")
async def list_destinations(session: SessionDep, who: Admin) -> schemas.DestinationList:
    """The DICOMweb servers that results go to."""
    return schemas.DestinationList(items=await destinations.every(session, who))


@router.post("/destinations", status_code=201, responses=responses(StepUpRequired, destinations.NameTaken, BadInput))
async def add_destination(
    session: SessionDep, ingest: IngestDep, who: FreshAdmin, body: schemas.DestinationIn
) -> schemas.DestinationOut:
    """Have results sent to a DICOMweb server; its password is sealed and never shown."""
    return await destinations.add(session, ingest, who, body)


@router.patch("/destinations/{destination_id}", responses=responses(StepUpRequired, destinations.DestinationNotFound))
async def switch_destination(
    session: SessionDep, who: FreshAdmin, destination_id: UUID, body: schemas.Switch
) -> schemas.DestinationOut:
    """Switch a destination on or off."""
    return await destinations.switch(session, who, destination_id, body.enabled)


@router.delete("/destinations/{destination_id}", status_code=204, responses=responses(destinations.DestinationNotFound))
async def remove_destination(session: SessionDep, who: Admin, destination_id: UUID) -> None:
    """Remove a destination."""
    await destinations.remove(session, who, destination_id)


@router.post(
    "/destinations/{destination_id}/retry", status_code=202, responses=responses(destinations.DestinationNotFound)
)
async def retry_deliveries(session: SessionDep, who: Admin, destination_id: UUID) -> schemas.Retried:
    """Send everything again that failed on its way there."""
    return await destinations.retry(session, who, destination_id)


@router.get("/deliveries")
async def list_deliveries(
    session: SessionDep,
    who: Admin,
    state: DeliveryState | None = None,
    study_id: UUID | None = None,
    cursor: UUID | None = None,
) -> schemas.DeliveryPage:
    """What became of results on their way, the newest first."""
    return await destinations.deliveries(session, who, state, study_id, cursor)


@router.post(
    "/deliveries/{delivery_id}/retry",
    status_code=202,
    responses=responses(destinations.DeliveryNotFound, destinations.StillUnderWay),
)
async def retry_delivery(session: SessionDep, who: Admin, delivery_id: UUID) -> schemas.DeliveryOut:
    """Send a failed delivery again."""
    return await destinations.again(session, who, delivery_id)
