"""Selects that have a name."""

import base64
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, any_, cast, exists, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.failures import AnalysisNotFound, CursorInvalid, ModelNotFound
from codetect_inference.feedback.models import Feedback
from codetect_inference.models import Analysis, Model, Status
from codetect_inference.schemas import Filters


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


async def page(session: AsyncSession, filters: Filters) -> tuple[list[Analysis], str | None]:
    """One page of analyses and the next page's cursor; the place in the list is a value, so nothing is skipped."""
    descending, name = filters.sort.startswith("-"), filters.sort.lstrip("-")
    by = getattr(Analysis, name)
    statement = _filtered(filters).where(by.is_not(None))
    if filters.cursor:
        after = tuple_(by, Analysis.id)
        place = _place(filters.cursor, filters.sort)
        statement = statement.where(after < place if descending else after > place)
    order = (by.desc(), Analysis.id.desc()) if descending else (by, Analysis.id)
    rows = list(await session.scalars(statement.order_by(*order).limit(filters.limit + 1)))
    if len(rows) <= filters.limit:
        return rows, None
    last = rows[filters.limit - 1]
    return rows[: filters.limit], _cursor(filters.sort, getattr(last, name), last.id)


def _filtered(filters: Filters) -> Select[Analysis]:
    wanted: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (Analysis.status, filters.status),
            (Analysis.study_id, filters.study_id),
            (Analysis.upload_id, filters.upload_id),
            (Analysis.folder, filters.folder),
        )
        if value is not None
    ]
    if filters.finding:
        wanted.append(literal(filters.finding) == any_(Analysis.positive))
    if filters.feedback:
        said = exists().where(Feedback.analysis_id == Analysis.id)
        none = filters.feedback == "none"
        wanted.append(
            ~said & (Analysis.status == Status.COMPLETED) if none else said.where(Feedback.state == filters.feedback)
        )
    if filters.tag:
        wanted.append(literal(filters.tag) == any_(Analysis.tags))
    if filters.created_from:
        wanted.append(Analysis.created_at >= filters.created_from)
    if filters.created_to:
        wanted.append(Analysis.created_at < filters.created_to)
    return select(Analysis).where(*wanted, *map(_mentions, (filters.q or "").split()))


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


def _cursor(sort: str, value: datetime, last_id: UUID) -> str:
    content = json.dumps([sort, value.isoformat(), str(last_id)], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).rstrip(b"=").decode()


def _place(cursor: str, sort: str) -> Any:
    try:
        of_sort, value, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        time, place = datetime.fromisoformat(value), UUID(last_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise CursorInvalid from error
    if of_sort != sort or time.tzinfo is None:
        raise CursorInvalid("The cursor belongs to another order.")
    return tuple_(time, place)
