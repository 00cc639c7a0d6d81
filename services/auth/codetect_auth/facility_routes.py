"""What operators do with facilities, and what a facility's admins see of it."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import NotFound, responses
from codetect_shared.tokens import StepUpRequired
from fastapi import APIRouter, Query

from codetect_auth import facilities, people, schemas
from codetect_auth import facility_schemas as shapes
from codetect_auth.access import invitations, steps
from codetect_auth.context import AuthDep
from codetect_auth.models import Facility
from codetect_auth.routing import REFUSALS, Admin, Cursor, FacilityAdmin, FreshOperator, Limit, Operator, page

INVITING = (*REFUSALS, StepUpRequired, NotFound, invitations.AlreadyInvited)
router = APIRouter(prefix="/api/v1", tags=["administration"])


@router.get("/facilities", responses=responses(*REFUSALS))
async def list_facilities(
    session: SessionDep, _: Operator, cursor: Cursor = None, limit: Limit = 50
) -> schemas.Page[shapes.Facility]:
    """All facilities."""
    return page(shapes.Facility, await people.list_facilities(session, cursor, limit), limit)


@router.post("/facilities", status_code=201, responses=responses(*REFUSALS, StepUpRequired, people.FacilityExists))
async def open_facility(
    auth: AuthDep, session: SessionDep, operator: FreshOperator, body: shapes.NewFacility
) -> shapes.Facility:
    """Open a facility; it has its own host name at once, and its first admin is invited."""
    first = (body.first_admin.email, body.first_admin.name) if body.first_admin else None
    settings = body.model_dump(exclude={"first_admin"})
    new = facilities.Opening(**settings, first_admin=first)
    opened = await facilities.open_facility(auth, new, await steps.by(session, operator))
    return shapes.Facility.model_validate(opened)


@router.get("/facilities/{facility_id}", responses=responses(*REFUSALS, NotFound))
async def get_one_facility(auth: AuthDep, _: Operator, facility_id: UUID) -> shapes.Facility:
    """A facility."""
    async with facilities.inside(auth, facility_id) as (_session, facility):
        return shapes.Facility.model_validate(facility)


@router.patch(
    "/facilities/{facility_id}", responses=responses(*REFUSALS, StepUpRequired, NotFound, facilities.OperatorsStay)
)
async def change_facility(
    auth: AuthDep, session: SessionDep, operator: FreshOperator, facility_id: UUID, body: shapes.FacilityChange
) -> shapes.Facility:
    """Rename a facility, change its mail domains, suspend or reactivate it; a suspension holds at once."""
    values = body.model_dump(exclude_none=True)
    changed = await facilities.change(auth, facility_id, await steps.by(session, operator), **values)
    return shapes.Facility.model_validate(changed)


@router.post("/facilities/{facility_id}/invitations", status_code=201, responses=responses(*INVITING))
async def invite_first_admin(
    auth: AuthDep, session: SessionDep, operator: FreshOperator, facility_id: UUID, body: shapes.FirstAdmin
) -> shapes.Invitation:
    """Invite somebody to be a facility's admin; its admins see that you did."""
    by = await steps.by(session, operator)
    done = await facilities.invite_admin(auth, facility_id, body.email, body.name, by)
    return shapes.Invitation.model_validate(done.invitation)


@router.get("/facilities/{facility_id}/checklist", responses=responses(*REFUSALS, NotFound))
async def get_checklist_of(auth: AuthDep, _: Operator, facility_id: UUID) -> shapes.Checklist:
    """What a facility still lacks."""
    async with facilities.inside(auth, facility_id) as (session, facility):
        return _checklist(await facilities.checklist(session, facility))


@router.get("/facility/checklist", responses=responses(*REFUSALS))
async def get_checklist(session: SessionDep, admin: FacilityAdmin) -> shapes.Checklist:
    """What our facility still lacks."""
    facility = await session.get_one(Facility, admin.facility_id)
    return _checklist(await facilities.checklist(session, facility))


@router.get("/access-steps", responses=responses(*REFUSALS))
async def list_access_steps(
    session: SessionDep,
    _: Admin,
    by_role: Annotated[str | None, Query(max_length=20, description="For example `operator`.")] = None,
    about_id: UUID | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the part before.")] = None,
    limit: Limit = 50,
) -> schemas.Page[shapes.Step]:
    """Who did what to whom in the facility, the latest first; also what operators did in it."""
    return page(shapes.Step, await steps.list_steps(session, by_role, about_id, cursor, limit), limit)


def _checklist(items: list[facilities.Item]) -> shapes.Checklist:
    lines = [shapes.ChecklistItem.model_validate(item) for item in items]
    return shapes.Checklist(ready=all(line.done for line in lines), items=lines)
