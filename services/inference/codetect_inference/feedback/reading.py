"""What was said of findings, for those who look: an analysis's feedback, the worklist, the table of labels."""

import csv
import io
from collections.abc import Iterable, Sequence
from uuid import UUID

from codetect_shared import audit
from codetect_shared.tokens import Principal
from sqlalchemy import Select, exists, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries
from codetect_inference.feedback.models import Feedback, FeedbackState, Opinion, Ruling
from codetect_inference.feedback.schemas import (
    FeedbackDetail,
    FeedbackFilters,
    FeedbackOut,
    FeedbackPage,
    LabelFilters,
)
from codetect_inference.feedback.sealing import facility_key, open_comment
from codetect_inference.models import Analysis, Study
from codetect_inference.settings import Settings

COLUMNS = (
    *("SeriesInstanceUID", "StudyInstanceUID", "label", "value", "readers", "adjudicated"),
    *("model", "model_version", "decided_at"),
)


async def of_analysis(
    session: AsyncSession, settings: Settings, who: Principal, analysis_id: UUID
) -> list[FeedbackDetail]:
    """Everything that was said of an analysis's findings; comments for whom they are. Raises AnalysisNotFound."""
    analysis = await queries.analysis(session, analysis_id)
    rows = list(
        await session.scalars(select(Feedback).where(Feedback.analysis_id == analysis_id).order_by(Feedback.label))
    )
    ids = [row.id for row in rows]
    opinions = list(
        await session.scalars(select(Opinion).where(Opinion.feedback_id.in_(ids)).order_by(Opinion.at, Opinion.id))
    )
    rulings = list(
        await session.scalars(select(Ruling).where(Ruling.feedback_id.in_(ids)).order_by(Ruling.at, Ruling.id))
    )
    said: list[Opinion | Ruling] = [*opinions, *rulings]
    shown = await _comments(session, settings, who, said)
    about = {"study_id": analysis.study_id, "target": f"analysis/{analysis.id}"}
    if any(str(row.reader) != who.subject and row.id in shown for row in said):
        await audit.record(session, who, "comment.read", **about)  # type: ignore[arg-type]
    await audit.record_once(session, who, "feedback.read", **about)  # type: ignore[arg-type]
    return [
        FeedbackDetail.with_all(
            row,
            analysis,
            [(one, shown.get(one.id)) for one in opinions if one.feedback_id == row.id],
            [(one, shown.get(one.id)) for one in rulings if one.feedback_id == row.id],
        )
        for row in rows
    ]


async def _comments(
    session: AsyncSession, settings: Settings, who: Principal, said: Sequence[Opinion | Ruling]
) -> dict[UUID, str]:
    """The comments that somebody may read: one's own, and all of them with the right `identity`."""
    mine = [row for row in said if row.sealed_comment and (str(row.reader) == who.subject or who.sees_identities)]
    if not mine:
        return {}
    key = await facility_key(session, who.facility_id, settings.master_key)
    return {row.id: open_comment(key, row) or "" for row in mine}


async def page(session: AsyncSession, who: Principal, filters: FeedbackFilters) -> FeedbackPage:
    """A page of findings that something was said of, the oldest first."""
    wanted = select(Feedback, Analysis).join(Analysis, Analysis.id == Feedback.analysis_id).order_by(Feedback.id)
    if filters.state:
        wanted = wanted.where(Feedback.state == filters.state)
    if filters.mine:
        own = exists().where(Opinion.feedback_id == Feedback.id, Opinion.reader == UUID(who.subject))
        wanted = wanted.where(Feedback.state == FeedbackState.WAITING, ~own)
    if filters.label:
        wanted = wanted.where(Feedback.label == filters.label)
    if filters.model:
        wanted = wanted.where(Analysis.model_name == filters.model)
    if filters.cursor:
        wanted = wanted.where(Feedback.id > filters.cursor)
    rows = (await session.execute(wanted.limit(filters.limit + 1))).all()
    await audit.record_once(session, who, "feedback.search")
    shown = rows[: filters.limit]
    following = str(shown[-1][0].id) if len(rows) > len(shown) else None
    return FeedbackPage(items=[FeedbackOut.of(row, analysis) for row, analysis in shown], next=following)


async def label_table(session: AsyncSession, who: Principal, filters: LabelFilters) -> str:
    """The settled labels as CSV, a line for a series and label: a decision before an agreement, the newest of each."""
    rows = (await session.execute(_settled(filters))).all()
    await audit.record(session, who, "labels.export", detail={"labels": len(rows)})
    return _csv(
        (
            row.series,
            row.study or "",
            row.label,
            row.says,
            row.readers,
            "yes" if row.state == FeedbackState.ADJUDICATED else "no",
            row.model,
            row.version,
            row.decided_at.isoformat(),
        )
        for row in rows
    )


def _settled(filters: LabelFilters) -> Select[*tuple[object, ...]]:
    series = Analysis.series["series_instance_uid"].astext
    wanted = (
        select(
            series.label("series"),
            Study.study_instance_uid.label("study"),
            Feedback.label,
            Feedback.says,
            Feedback.readers,
            Feedback.state,
            Analysis.model_name.label("model"),
            Analysis.model_version.label("version"),
            Feedback.decided_at,
        )
        .join(Analysis, Analysis.id == Feedback.analysis_id)
        .join(Study, Study.id == Analysis.study_id)
        .where(Feedback.is_label())
        .ext(distinct_on(series, Feedback.label))
        # "adjudicated" comes before "agreed".
        .order_by(series, Feedback.label, Feedback.state, Feedback.decided_at.desc())
    )
    for column, value in (
        (Feedback.label, filters.label),
        (Analysis.model_name, filters.model),
        (Analysis.model_version, filters.version),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if filters.decided_from:
        wanted = wanted.where(Feedback.decided_at >= filters.decided_from)
    if filters.decided_to:
        wanted = wanted.where(Feedback.decided_at < filters.decided_to)
    return wanted


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows(rows)
    return text.getvalue()
