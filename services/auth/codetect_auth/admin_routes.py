"""What admins do with members and API clients."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared.db import SessionDep, uuid7
from codetect_shared.problems import NotFound, responses
from codetect_shared.tokens import Principal, StepUpRequired
from fastapi import APIRouter, Body, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import clients, members, people, recording, resetting, schemas
from codetect_auth.access.steps import by, record
from codetect_auth.context import Auth, AuthDep
from codetect_auth.models import ApiClient, Person
from codetect_auth.routing import (
    REFUSALS,
    Admin,
    Cursor,
    FreshAdmin,
    FreshFacilityAdmin,
    Limit,
    no_store,
    page,
)

ONCE = [Depends(no_store)]  # a secret is in this answer and nowhere else
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
    responses=responses(*REFUSALS, StepUpRequired, NotFound, resetting.NotYourself, resetting.NotTheSoleAdmin),
)
async def reset_factors(auth: AuthDep, admin: FreshAdmin, member_id: UUID, body: schemas.FactorReset) -> None:
    """Somebody lost their second factor: all of theirs end, with codes and logins; they set one up at the next login.

    Operators do this for a facility's sole admin, with a reason. The person and the facility's admins get mail, and
    the operators where one of them did it.
    """
    await resetting.reset_factors(auth, admin, member_id, body.reason)


@router.get("/api-clients", responses=responses(*REFUSALS))
async def list_api_clients(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[schemas.ApiClient]:
    """The facility's API clients."""
    return page(schemas.ApiClient, await clients.list_clients(session, cursor, limit), limit)


@router.post("/api-clients", status_code=201, dependencies=ONCE, responses=responses(*REFUSALS, StepUpRequired))
async def create_api_client(
    auth: AuthDep, session: SessionDep, admin: FreshAdmin, body: schemas.NewApiClient
) -> schemas.ApiClientWithSecret:
    """Make an API client, which you own; its secret is in this answer and nowhere else."""
    row, secret = await clients.create_client(
        session, admin.facility_id, body.name, body.scopes, body.expires_at, admin
    )
    return await _shown_once(auth, session, admin, row, secret, "created")


@router.post(
    "/api-clients/{client_id}/rotate", dependencies=ONCE, responses=responses(*REFUSALS, StepUpRequired, NotFound)
)
async def rotate_api_client(
    auth: AuthDep,
    session: SessionDep,
    admin: FreshAdmin,
    client_id: UUID,
    body: Annotated[schemas.Rotation, Body(default_factory=schemas.Rotation)],
) -> schemas.ApiClientWithSecret:
    """Another secret, in this answer and nowhere else; the one before lasts as long as you say, a day at most."""
    row, secret = await clients.rotate_client(session, client_id, body.grace_hours, body.expires_at)
    await recording.record(session, admin, "client.rotate", row)
    return await _shown_once(auth, session, admin, row, secret, "rotated")


@router.patch("/api-clients/{client_id}", responses=responses(*REFUSALS, StepUpRequired, NotFound))
async def change_api_client(
    auth: AuthDep, session: SessionDep, admin: FreshAdmin, client_id: UUID, body: schemas.ApiClientChange
) -> schemas.ApiClient:
    """Hand an API client to another person, so that it goes on when its owner leaves; suspend it, take it up again."""
    who = await by(session, admin)
    if body.owner_id is not None:
        row = await clients.owned_by(session, client_id, body.owner_id)
        await record(session, row.facility_id, "api_client", row.id, "owner", who)
        await recording.record(session, admin, "client.owner", row, owner=str(body.owner_id))
        await clients.tell_owner(auth, session, row, "is yours now", f"owner/{uuid7()}")
    if body.suspended is not None:
        row = await clients.suspend(session, client_id, body.suspended)
        what = "suspended" if body.suspended else "active again"
        await record(session, row.facility_id, "api_client", row.id, what, who)
        await recording.record(session, admin, "client.suspend" if body.suspended else "client.reinstate", row)
        await clients.tell_owner(auth, session, row, what, f"suspend/{uuid7()}")
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
) -> schemas.ApiClientWithSecret:
    await record(session, row.facility_id, "api_client", row.id, what, await by(session, admin))
    await clients.tell_owner(auth, session, row, what, f"{what}/{uuid7()}")
    shown: dict[str, Any] = schemas.ApiClient.model_validate(row).model_dump(by_alias=False)
    known = {"id": row.id, "created_by": row.created_by, "client_secret": secret}
    return schemas.ApiClientWithSecret.model_validate({**shown, **known})
