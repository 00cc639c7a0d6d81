"""How a model version fares over some days, from counts and feedback."""

import datetime

from codetect_shared.problems import BadInput
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries
from codetect_inference.bundle import Bundle, Histogram, Reference
from codetect_inference.feedback.models import Feedback, FeedbackState
from codetect_inference.models import Analysis
from codetect_inference.watch.looking import DAYS
from codetect_inference.watch.measures import STUDIES_NEEDED, UNLIKE, Band, band_of, psi
from codetect_inference.watch.models import Drift
from codetect_inference.watch.schemas import AgreementOut, DriftingOut, MeasureOut, Period, UnlikeOut, WatchOut
from codetect_inference.watch.sums import Span, Sum, of_model

MOST_DAYS = 400
CANNOT = "This model's bundle has no reference, so drift can't be told."
CAN = "Compared with the bundle's reference, slice by slice."
NOTHING = Sum([], 0)


class PeriodInvalid(BadInput):
    """The days don't make a period that can be shown."""


def span_of(period: Period, today: datetime.date) -> Span:
    """The days that are asked for. Raises PeriodInvalid."""
    end = period.end or today + datetime.timedelta(days=1)
    try:
        start = period.start or end - datetime.timedelta(days=DAYS)
    except OverflowError:
        raise PeriodInvalid("`to` is too early.") from None
    if start >= end:
        raise PeriodInvalid("`from` must be before `to`.")
    if (end - start).days > MOST_DAYS:
        raise PeriodInvalid(f"At most {MOST_DAYS} days can be shown at once.")
    return Span(start, end)


async def watch(session: AsyncSession, name: str, version: str, period: Period) -> WatchOut:
    """A model version's counts in all facilities whose rows the session sees. Raises ModelNotFound, PeriodInvalid."""
    model = await queries.model(session, name, version)
    bundle = Bundle.model_validate(model.manifest)
    now: datetime.datetime = (await session.scalars(select(func.clock_timestamp()))).one()
    span = span_of(period, now.astimezone(datetime.UTC).date())
    counted = await of_model(session, span, name, version)
    reference = bundle.reference
    return WatchOut(
        model=name,
        model_version=version,
        start=span.start,
        end=span.end,
        drift=CAN if reference else CANNOT,
        reference=reference.data if reference else None,
        studies_needed=STUDIES_NEEDED,
        measures=[
            _measure(measure, reference, histogram, counted.get(measure, NOTHING))
            for measure, histogram in reference.measures.items()
        ]
        if reference
        else [],
        out_of_distribution=_unlike(counted.get(UNLIKE, NOTHING)) if bundle.outliers else None,
        agreement=await _agreement(session, span, name, version),
        drifting=await _drifting(session, name, version),
    )


def _measure(name: str, reference: Reference, histogram: Histogram, counted: Sum) -> MeasureOut:
    slices = sum(counted.bins)
    value = psi(histogram, reference.n, counted.bins) if slices else 0.0
    band = band_of(value, counted.studies)
    return MeasureOut(
        measure=name,
        band=band,
        psi=None if band == Band.TOO_FEW else round(value, 4),
        slices=slices,
        studies=counted.studies,
        edges=list(histogram.edges),
        expected=list(histogram.shares),
        seen=[round(one / slices, 6) for one in counted.bins] if slices else [],
    )


def _unlike(counted: Sum) -> UnlikeOut:
    flagged = counted.bins[1] if counted.bins else 0
    return UnlikeOut(
        studies=counted.studies, flagged=flagged, share=round(flagged / counted.studies, 6) if counted.studies else None
    )


async def _agreement(session: AsyncSession, span: Span, name: str, version: str) -> list[AgreementOut]:
    begin, end = (datetime.datetime.combine(day, datetime.time(), datetime.UTC) for day in (span.start, span.end))
    settled = Feedback.is_label()
    found = (
        select(
            Feedback.label,
            func.count().filter(settled & (Feedback.says == Feedback.model_says)),
            func.count().filter(settled & (Feedback.says != Feedback.model_says)),
            func.count().filter(Feedback.state == FeedbackState.WAITING),
        )
        .join(Analysis, Analysis.id == Feedback.analysis_id)
        .where(Analysis.model_name == name, Analysis.model_version == version)
        .where(Analysis.finished_at >= begin, Analysis.finished_at < end)
        .group_by(Feedback.label)
        .order_by(Feedback.label)
    )
    return [
        AgreementOut(
            label=label,
            confirmed=confirmed,
            corrected=corrected,
            waiting=waiting,
            share=round(confirmed / (confirmed + corrected), 6) if confirmed + corrected else None,
        )
        for label, confirmed, corrected, waiting in await session.execute(found)
    ]


async def _drifting(session: AsyncSession, name: str, version: str) -> list[DriftingOut]:
    out = select(Drift).where(Drift.model_name == name, Drift.model_version == version, Drift.band != Band.STABLE)
    rows = await session.scalars(out.order_by(Drift.psi.desc()))
    return [
        DriftingOut.model_validate({field: getattr(row, field) for field in DriftingOut.model_fields}) for row in rows
    ]
