"""Keep views, and find one's own."""

from urllib.parse import parse_qsl
from uuid import UUID

from codetect_shared.db import one_at_a_time
from codetect_shared.identifiers import refuse_identifiers
from codetect_shared.problems import Conflict, NotFound
from codetect_shared.tokens import Principal
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.views.models import View
from codetect_inference.views.schemas import ViewChange, ViewRequest

MOST = 50


class ViewNotFound(NotFound):
    """You have no such view."""


class ViewNameTaken(Conflict):
    """You have a view of this name already."""


class TooManyViews(Conflict):
    """You can keep 50 views; remove one first."""


async def views(session: AsyncSession, who: Principal) -> list[View]:
    """One's own, by name."""
    return list(await session.scalars(select(View).where(_own(who)).order_by(func.lower(View.name), View.id)))


async def add(session: AsyncSession, who: Principal, request: ViewRequest) -> View:
    """Keep one more. Raises HoldsIdentifier, ViewNameTaken, TooManyViews."""
    _refuse_identifiers(request.filters)
    await _name(session, who, request.name)
    if await session.scalar(select(View.id).where(_own(who)).offset(MOST - 1).limit(1)):
        raise TooManyViews
    view = View(facility_id=who.facility_id, owner=UUID(who.subject), name=request.name, filters=request.filters)
    session.add(view)
    await session.flush()
    return view


async def change(session: AsyncSession, who: Principal, view_id: UUID, request: ViewChange) -> View:
    """Give it another name, or other filters. Raises HoldsIdentifier, ViewNotFound, ViewNameTaken."""
    view = await _find(session, who, view_id)
    if request.name is not None and request.name != view.name:
        await _name(session, who, request.name)
        view.name = request.name
    if request.filters is not None:
        _refuse_identifiers(request.filters)
        view.filters = request.filters
    await session.flush()
    return view


async def remove(session: AsyncSession, who: Principal, view_id: UUID) -> None:
    """Forget it. Raises ViewNotFound."""
    await session.delete(await _find(session, who, view_id))


async def _name(session: AsyncSession, who: Principal, name: str) -> None:
    refuse_identifiers("name", name)
    await one_at_a_time(session, f"views/{who.subject}")
    if await session.scalar(select(View.id).where(_own(who), View.name == name)):
        raise ViewNameTaken


def _refuse_identifiers(filters: str) -> None:
    """In what is searched for; days are filters, too."""
    for name, value in parse_qsl(filters):
        if name == "q":
            refuse_identifiers("search", value)


async def _find(session: AsyncSession, who: Principal, view_id: UUID) -> View:
    view = await session.scalar(select(View).where(_own(who), View.id == view_id))
    if view is None:
        raise ViewNotFound
    return view


def _own(who: Principal) -> ColumnElement[bool]:
    return View.owner == UUID(who.subject)
