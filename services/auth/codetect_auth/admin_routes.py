"""What operators do with facilities, and admins with members and API clients."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import Principal, Role, require
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from codetect_auth import clients, people, schemas
from codetect_auth.context import AuthDep
from codetect_auth.models import Person

Operator = Annotated[Principal, require(Role.OPERATOR)]
Admin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR)]
FacilityAdmin = Annotated[Principal, require(Role.ADMIN)]
Cursor = Annotated[UUID | None, Query(description="`next` of the part before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Item = TypeVar("Item", bound=BaseModel)

REFUSALS = (Unauthenticated, Forbidden, BadInput)
router = APIRouter(prefix="/api/v1", tags=["administration"])


@router.get("/facilities", responses=responses(*REFUSALS))
async def list_facilities(
    session: SessionDep, _: Operator, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.Facility]:
    """All facilities."""
    return _page(schemas.Facility, await people.list_facilities(session, cursor, limit), limit)


@router.post("/facilities", status_code=201, responses=responses(*REFUSALS, people.FacilityExists))
async def open_facility(auth: AuthDep, operator: Operator, body: schemas.NewFacility) -> schemas.Facility:
    """Open a facility; it has its own host name at once."""
    return schemas.Facility.model_validate(await people.open_facility(auth.db, body.slug, body.name, operator))


@router.get("/members", responses=responses(*REFUSALS))
async def list_members(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.Member]:
    """The facility's people."""
    return _page(schemas.Member, await people.list_people(session, cursor, limit), limit)


@router.patch("/members/{member_id}", responses=responses(*REFUSALS, NotFound))
async def change_member(
    session: SessionDep, admin: FacilityAdmin, member_id: UUID, body: schemas.MemberChange
) -> schemas.Member:
    """Give one of the facility's people a right or take it; it holds from their next refresh, ten minutes at most."""
    person = await people.find_person(session, Person.id == member_id)
    await people.change_rights(session, person, body.rights, admin)
    return schemas.Member.model_validate(person)


@router.get("/api-clients", responses=responses(*REFUSALS))
async def list_api_clients(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.ApiClient]:
    """The facility's API clients."""
    return _page(schemas.ApiClient, await clients.list_clients(session, cursor, limit), limit)


@router.post("/api-clients", status_code=201, responses=responses(*REFUSALS))
async def create_api_client(
    session: SessionDep, admin: Admin, body: schemas.NewApiClient, response: Response
) -> schemas.ApiClientWithSecret:
    """Make an API client; its secret is in this answer and nowhere else."""
    response.headers["Cache-Control"] = "no-store"
    row, secret = await clients.create_client(
        session, admin.facility_id, body.name, body.scopes, body.expires_at, admin
    )
    shown: dict[str, Any] = schemas.ApiClient.model_validate(row).model_dump(by_alias=False)
    return schemas.ApiClientWithSecret.model_validate({**shown, "id": row.id, "client_secret": secret})


@router.delete("/api-clients/{client_id}", status_code=204, responses=responses(*REFUSALS, NotFound))
async def revoke_api_client(session: SessionDep, admin: Admin, client_id: UUID) -> None:
    """Give an API client no more tokens."""
    await clients.revoke_client(session, admin, client_id)


def _page(item: type[Item], rows: Sequence[Any], limit: int) -> schemas.Page[Item]:
    more = str(rows[-1].id) if len(rows) == limit else None
    return schemas.Page(items=[item.model_validate(row) for row in rows], next=more)
