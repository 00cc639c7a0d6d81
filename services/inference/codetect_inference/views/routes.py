"""HTTP: one's own views of the worklist."""

from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.identifiers import HoldsIdentifier
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import CurrentPrincipal, Role, require
from fastapi import APIRouter

from codetect_inference.views import keeping
from codetect_inference.views.schemas import ViewChange, ViewList, ViewOut, ViewRequest

person = require(Role.OPERATOR, Role.ADMIN, Role.MEMBER, Role.VIEWER)
views = APIRouter(prefix="/api/v1/views", tags=["views"], dependencies=[person])


@views.get("", summary="List one's own views", responses=responses(Forbidden))
async def list_views(session: SessionDep, who: CurrentPrincipal) -> ViewList:
    """Filters of the worklist that a person kept under a name; nobody else sees them."""
    return ViewList(items=[ViewOut.model_validate(view) for view in await keeping.views(session, who)])


@views.post(
    "",
    summary="Keep a view",
    status_code=201,
    responses=responses(Forbidden, HoldsIdentifier, keeping.ViewNameTaken, keeping.TooManyViews),
)
async def create_view(session: SessionDep, who: CurrentPrincipal, body: ViewRequest) -> ViewOut:
    """Under a name that one has no other view of."""
    return ViewOut.model_validate(await keeping.add(session, who, body))


@views.patch(
    "/{view_id}",
    summary="Change a view",
    responses=responses(Forbidden, HoldsIdentifier, keeping.ViewNotFound, keeping.ViewNameTaken),
)
async def change_view(session: SessionDep, who: CurrentPrincipal, view_id: UUID, body: ViewChange) -> ViewOut:
    """Give it another name, or other filters."""
    return ViewOut.model_validate(await keeping.change(session, who, view_id, body))


@views.delete(
    "/{view_id}", summary="Forget a view", status_code=204, responses=responses(Forbidden, keeping.ViewNotFound)
)
async def delete_view(session: SessionDep, who: CurrentPrincipal, view_id: UUID) -> None:
    """It goes for good."""
    await keeping.remove(session, who, view_id)
