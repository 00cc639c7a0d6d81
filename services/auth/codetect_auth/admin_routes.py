"""What operators do with facilities, and admins with members and API clients."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import Principal, Role, StepUpRequired, require
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from codetect_auth import clients, members, people, schemas
from codetect_auth.context import AuthDep

Operator = Annotated[Principal, require(Role.OPERATOR)]
Admin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR)]
FreshAdmin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR, fresh=True)]
FreshFacilityAdmin = Annotated[Principal, require(Role.ADMIN, fresh=True)]
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


@router.patch("/members/{member_id}", responses=responses(*REFUSALS, StepUpRequired, NotFound, members.LastAdmin))
async def change_member(
    session: SessionDep, admin: FreshFacilityAdmin, member_id: UUID, body: schemas.MemberChange
) -> schemas.Member:
    """Change one of the facility's people: rights, suspended or active. It holds everywhere within a minute."""
    given = {name: getattr(body, name) if name in body.model_fields_set else None for name in ("rights", "status")}
    return schemas.Member.model_validate(await members.change(session, admin, member_id, **given))


@router.delete("/members/{member_id}/sessions", status_code=204, responses=responses(*REFUSALS, NotFound))
async def end_member_sessions(session: SessionDep, admin: Admin, member_id: UUID) -> None:
    """End all logins of one of the facility's people; they may log in again."""
    await members.end_sessions(session, admin, member_id)


@router.post(
    "/members/{member_id}/reset-factors",
    status_code=204,
    responses=responses(*REFUSALS, StepUpRequired, NotFound, members.NotYourself, members.NotTheSoleAdmin),
)
async def reset_factors(auth: AuthDep, admin: FreshAdmin, member_id: UUID, body: schemas.FactorReset) -> None:
    """Somebody lost their second factor: all of theirs end, with codes and logins; they set one up at the next login.

    Operators do this for a facility's sole admin, with a reason that the facility's admins can read.
    """
    await members.reset_factors(auth, admin, member_id, body.reason)


@router.get("/api-clients", responses=responses(*REFUSALS))
async def list_api_clients(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.ApiClient]:
    """The facility's API clients."""
    return _page(schemas.ApiClient, await clients.list_clients(session, cursor, limit), limit)


@router.post("/api-clients", status_code=201, responses=responses(*REFUSALS, StepUpRequired))
async def create_api_client(
    session: SessionDep, admin: FreshAdmin, body: schemas.NewApiClient, response: Response
) -> schemas.ApiClientWithSecret:
    """Make an API client; its secret is in this answer and nowhere else."""
    response.headers["Cache-Control"] = "no-store"
    row, secret = await clients.create_client(
        session, admin.facility_id, body.name, body.scopes, body.expires_at, admin
    )
    shown: dict[str, Any] = schemas.ApiClient.model_validate(row).model_dump(by_alias=False)
    return schemas.ApiClientWithSecret.model_validate({**shown, "id": row.id, "client_secret": secret})


@router.delete("/api-clients/{client_id}", status_code=204, responses=responses(*REFUSALS, StepUpRequired, NotFound))
async def revoke_api_client(session: SessionDep, admin: FreshAdmin, client_id: UUID) -> None:
    """Give an API client no more tokens; those it has are refused everywhere within a minute."""
    await clients.revoke_client(session, admin, client_id)


def _page(item: type[Item], rows: Sequence[Any], limit: int) -> schemas.Page[Item]:
    more = str(rows[-1].id) if len(rows) == limit else None
    return schemas.Page(items=[item.model_validate(row) for row in rows], next=more)
