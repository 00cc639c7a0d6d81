"""What admins do with members and API clients."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from codetect_shared.db import SessionDep, uuid7
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import Principal, Role, StepUpRequired, require
from fastapi import APIRouter, Body, Query, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import clients, members, people, recording, schemas
from codetect_auth.access.steps import by, record
from codetect_auth.context import Auth, AuthDep
from codetect_auth.models import ApiClient, Person

Admin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR)]
FacilityAdmin = Annotated[Principal, require(Role.ADMIN)]
FreshAdmin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR, fresh=True)]
FreshFacilityAdmin = Annotated[Principal, require(Role.ADMIN, fresh=True)]
Cursor = Annotated[UUID | None, Query(description="`next` of the part before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Item = TypeVar("Item", bound=BaseModel)

REFUSALS = (Unauthenticated, Forbidden, BadInput)
router = APIRouter(prefix="/api/v1", tags=["administration"])


@router.get("/members", responses=responses(*REFUSALS))
async def list_members(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.Member]:
    """The facility's people."""
    return page(schemas.Member, await people.list_people(session, cursor, limit), limit)


@router.patch("/members/{member_id}", responses=responses(*REFUSALS, StepUpRequired, NotFound, members.LastAdmin))
async def change_member(
    auth: AuthDep, session: SessionDep, admin: FreshFacilityAdmin, member_id: UUID, body: schemas.MemberChange
) -> schemas.Member:
    """Give one of the facility's people another role, other rights, or suspend them; it holds within a minute."""
    who, values = await by(session, admin), body.model_dump(exclude_unset=True)
    person = await members.change(auth, session, Person.id == member_id, who, **values)
    return schemas.Member.model_validate(person)


@router.delete(
    "/members/{member_id}", status_code=204, responses=responses(*REFUSALS, StepUpRequired, NotFound, members.LastAdmin)
)
async def remove_member(auth: AuthDep, session: SessionDep, admin: FreshFacilityAdmin, member_id: UUID) -> None:
    """Let somebody go: their logins end, their API clients too; name and address are forgotten."""
    await members.remove(auth, session, Person.id == member_id, await by(session, admin))


@router.delete("/members/{member_id}/sessions", status_code=204, responses=responses(*REFUSALS, NotFound))
async def end_member_sessions(session: SessionDep, admin: Admin, member_id: UUID) -> None:
    """End all logins of one of the facility's people; they may log in again."""
    await members.end_sessions(session, Person.id == member_id, await by(session, admin))


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
    return page(schemas.ApiClient, await clients.list_clients(session, cursor, limit), limit)


@router.post("/api-clients", status_code=201, responses=responses(*REFUSALS, StepUpRequired))
async def create_api_client(
    auth: AuthDep, session: SessionDep, admin: FreshAdmin, body: schemas.NewApiClient, response: Response
) -> schemas.ApiClientWithSecret:
    """Make an API client, which you own; its secret is in this answer and nowhere else."""
    row, secret = await clients.create_client(
        session, admin.facility_id, body.name, body.scopes, body.expires_at, admin
    )
    return await _shown_once(auth, session, admin, row, secret, "created", response)


@router.post("/api-clients/{client_id}/rotate", responses=responses(*REFUSALS, StepUpRequired, NotFound))
async def rotate_api_client(
    auth: AuthDep,
    session: SessionDep,
    admin: FreshAdmin,
    client_id: UUID,
    body: Annotated[schemas.Rotation, Body(default_factory=schemas.Rotation)],
    response: Response,
) -> schemas.ApiClientWithSecret:
    """Another secret, in this answer and nowhere else; the one before lasts as long as you say, a day at most."""
    row, secret = await clients.rotate_client(session, client_id, body.grace_hours, body.expires_at)
    await recording.record(session, admin, "client.rotate", row)
    return await _shown_once(auth, session, admin, row, secret, "rotated", response)


@router.patch("/api-clients/{client_id}", responses=responses(*REFUSALS, StepUpRequired, NotFound))
async def change_api_client(
    auth: AuthDep, session: SessionDep, admin: FreshAdmin, client_id: UUID, body: schemas.ApiClientOwner
) -> schemas.ApiClient:
    """Hand an API client to another person, so that it goes on when its owner leaves."""
    row = await clients.owned_by(session, client_id, body.owner_id)
    await record(session, row.facility_id, "api_client", row.id, "owner", await by(session, admin))
    await recording.record(session, admin, "client.owner", row, owner=str(body.owner_id))
    await clients.tell_owner(auth, session, row, "is yours now", f"owner/{uuid7()}")
    return schemas.ApiClient.model_validate(row)


@router.delete("/api-clients/{client_id}", status_code=204, responses=responses(*REFUSALS, StepUpRequired, NotFound))
async def revoke_api_client(auth: AuthDep, session: SessionDep, admin: FreshAdmin, client_id: UUID) -> None:
    """Give an API client no more tokens; those it has are refused everywhere within a minute."""
    row = await clients.revoke_client(session, client_id)
    await record(session, row.facility_id, "api_client", row.id, "revoked", await by(session, admin))
    await recording.record(session, admin, "client.revoke", row)
    await clients.tell_owner(auth, session, row, "revoked", "revoked")


async def _shown_once(
    auth: Auth,
    session: AsyncSession,
    admin: Principal,
    row: ApiClient,
    secret: str,
    what: str,
    response: Response,
) -> schemas.ApiClientWithSecret:
    response.headers["Cache-Control"] = "no-store"
    await record(session, row.facility_id, "api_client", row.id, what, await by(session, admin))
    await clients.tell_owner(auth, session, row, what, f"{what}/{uuid7()}")
    shown: dict[str, Any] = schemas.ApiClient.model_validate(row).model_dump(by_alias=False)
    known = {"id": row.id, "created_by": row.created_by, "client_secret": secret}
    return schemas.ApiClientWithSecret.model_validate({**shown, **known})


def page(item: type[Item], rows: Sequence[Any], limit: int) -> schemas.Page[Item]:
    """A part of a list."""
    more = str(rows[-1].id) if len(rows) == limit else None
    return schemas.Page(items=[item.model_validate(row) for row in rows], next=more)
