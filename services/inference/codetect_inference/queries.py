"""Selects that have a name."""

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from codetect_shared.jobs import PRIORITIES, UNAWAITED
from sqlalchemy import ColumnElement, Select, Text, cast, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from codetect_inference.failures import AnalysisNotFound, CursorInvalid, ModelNotFound
from codetect_inference.feedback.models import Feedback
from codetect_inference.models import Analysis, Mark, MarkKind, Model, Status
from codetect_inference.schemas import Counted, Facets, Filters

MOST_FACETS = 500
BANDS = (*PRIORITIES.values(), UNAWAITED)


class Place(NamedTuple):
    """Where a page ends: its last row's priority, time and id."""

    priority: int
    time: datetime
    id: UUID


async def analysis(session: AsyncSession, analysis_id: UUID, *, lock: bool = False) -> Analysis:
    """One analysis of the session's facility; locked, as it is now, even if read before. Raises AnalysisNotFound."""
    statement = select(Analysis).where(Analysis.id == analysis_id)
    locking = statement.with_for_update().execution_options(populate_existing=True)
    row = await session.scalar(locking if lock else statement)
    if row is None:
        raise AnalysisNotFound
    return row


async def model(session: AsyncSession, name: str, version: str) -> Model:
    """One registered bundle. Raises ModelNotFound."""
    row = await session.scalar(select(Model).where(Model.name == name, Model.version == version))
    if row is None:
        raise ModelNotFound
    return row


async def page(session: AsyncSession, asker: UUID, filters: Filters) -> tuple[list[Analysis], str | None]:
    """One page of analyses and the next page's cursor; the place in the list is a value, so nothing is skipped."""
    place = _place(filters) if filters.cursor else None
    rows: list[Analysis] = []
    for part in _parts(_filtered(asker, filters), filters, place):
        rows += await session.scalars(part.limit(filters.limit + 1 - len(rows)))
        if len(rows) > filters.limit:
            return rows[: filters.limit], _cursor(filters, rows[filters.limit - 1])
    return rows, None


def _parts(wanted: Select[Analysis], filters: Filters, place: Place | None) -> Iterator[Select[Analysis]]:
    """What follows the place, in order. A priority at a time, each in an index's order: together they'd be sorted."""
    if not filters.urgent_first:
        yield _after(wanted, filters.sort, place)
        return
    for band in BANDS:
        if place is None or band >= place.priority:
            of_band = wanted.where(Analysis.priority == band)
            yield _after(of_band, filters.sort, place if place and band == place.priority else None)


def _after(wanted: Select[Analysis], sort: str, place: Place | None) -> Select[Analysis]:
    by, descending = getattr(Analysis, sort.lstrip("-")), sort.startswith("-")
    if place:
        here, there = tuple_(by, Analysis.id), tuple_(place.time, place.id)
        wanted = wanted.where(here < there if descending else here > there)
    order = (by.desc(), Analysis.id.desc()) if descending else (by, Analysis.id)
    return wanted.where(by.is_not(None)).order_by(*order)


def _filtered(asker: UUID, filters: Filters) -> Select[Analysis]:
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (Analysis.study_id, filters.study_id),
            (Analysis.upload_id, filters.upload_id),
            (Analysis.folder, filters.folder),
            (Analysis.submitted_by, asker if filters.mine else None),
        )
        if value is not None
    ]
    if filters.status:
        wanted.append(Analysis.status.in_(filters.status))
    if filters.positive is not None:
        found = _marked(MarkKind.ANY_FINDING, "")
        wanted.append(found if filters.positive else ~found & (Analysis.status == Status.COMPLETED))
    if filters.finding:
        wanted.append(_marked(MarkKind.FINDING, filters.finding))
    if filters.feedback:
        said = exists().where(Feedback.analysis_id == Analysis.id)
        none = filters.feedback == "none"
        wanted.append(
            ~said & (Analysis.status == Status.COMPLETED) if none else said.where(Feedback.state == filters.feedback)
        )
    if filters.tag:
        wanted.append(_marked(MarkKind.TAG, filters.tag))
    if filters.created_from:
        wanted.append(Analysis.created_at >= filters.created_from)
    if filters.created_to:
        wanted.append(Analysis.created_at < filters.created_to)
    return select(Analysis).where(*wanted, *map(_mentions, (filters.q or "").split()))


def _marked(kind: MarkKind, value: str) -> ColumnElement[bool]:
    return exists().where(Mark.analysis_id == Analysis.id, Mark.kind == kind, Mark.value == value)


async def studies_of(session: AsyncSession, ids: Iterable[UUID]) -> set[UUID]:
    """The studies of these analyses."""
    return set(await session.scalars(select(Analysis.study_id).where(Analysis.id.in_(list(ids)))))


async def facets(session: AsyncSession) -> Facets:
    """What the facility's analyses can be filtered by, with how many have it: of each kind the most used."""

    async def most(value: InstrumentedAttribute[Any], *of: ColumnElement[bool]) -> list[Counted]:
        many = select(value, func.count()).where(*of).group_by(value).order_by(func.count().desc(), value)
        found = await session.execute(many.limit(MOST_FACETS))
        return sorted((Counted(value=name, count=count) for name, count in found), key=lambda each: each.value)

    return Facets(
        tags=await most(Mark.value, Mark.kind == MarkKind.TAG),
        folders=await most(Analysis.folder, Analysis.folder.is_not(None)),
        findings=await most(Mark.value, Mark.kind == MarkKind.FINDING),
    )


def _mentions(word: str) -> ColumnElement[bool]:
    """Whether a word occurs in what people see of an analysis."""
    texts = (
        Analysis.model_name,
        Analysis.status,
        Analysis.folder,
        func.array_to_string(Analysis.positive, " "),
        func.array_to_string(Analysis.tags, " "),
        cast(Analysis.id, Text),
        cast(Analysis.study_id, Text),
    )
    return or_(*(text.icontains(word, autoescape=True) for text in texts))


def _cursor(filters: Filters, last: Analysis) -> str:
    time = getattr(last, filters.sort.lstrip("-"))
    content = json.dumps([_order(filters), last.priority, time.isoformat(), str(last.id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def _place(filters: Filters) -> Place:
    cursor = filters.cursor or ""
    try:
        of_order, priority, time, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = Place(int(priority), datetime.fromisoformat(time), UUID(last_id))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise CursorInvalid from error
    if of_order != _order(filters) or place.time.tzinfo is None:
        raise CursorInvalid("The cursor belongs to another order.")
    return place


def _order(filters: Filters) -> str:
    return f"urgent,{filters.sort}" if filters.urgent_first else filters.sort
