"""The daily look: which measures drifted, told once. By the database's clock, by one process."""

import datetime
from uuid import UUID

import structlog
from codetect_shared.db import Database
from codetect_shared.events import ModelDrifted
from codetect_shared.outbox import tell
from prometheus_client import Gauge
from sqlalchemy import Date, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.bundle import Bundle, Reference
from codetect_inference.models import Model
from codetect_inference.watch.measures import Band, band_of, psi
from codetect_inference.watch.models import Drift, Look
from codetect_inference.watch.sums import Kept, Span, Sum, of_facilities

log = structlog.get_logger()
DAYS = 30
RANK = {None: 0, Band.STABLE: 0, Band.MODERATE: 1, Band.MAJOR: 2}
PSI = Gauge(
    "codetect_model_drift_psi",
    "Highest PSI of a measure among facilities, at the last daily look.",
    ["model", "version", "measure"],
)


async def look(db: Database) -> bool:
    """Take today's look, unless somebody did; then show in the metrics what was found. Returns whether it was us."""
    async with db.system() as session:
        taken = await _look(session)
    async with db.system() as session:
        await _show(session)
    return taken


async def _look(session: AsyncSession) -> bool:
    """The day's row makes it happen once: who comes second waits for the first's commit, and finds it there."""
    today = cast(func.timezone("UTC", func.clock_timestamp()), Date)
    first = insert(Look).values(day=today).on_conflict_do_nothing().returning(Look.day)
    day = await session.scalar(first)
    if day is None:
        return False
    await session.execute(delete(Look).where(Look.day < day))
    references = await _references(session)
    span = Span(day - datetime.timedelta(days=DAYS), day)
    for kept, measures in (await of_facilities(session, span)).items():
        reference = references.get((kept.model_name, kept.model_version))
        for name, counted in measures.items():
            if reference and name in reference.measures:
                await _judge(session, day, kept, name, counted, reference)
    # of whom too little was seen, nothing is known any more; what comes is told anew
    unseen = update(Drift).where(Drift.looked_on < day)
    await session.execute(unseen.values(band=Band.STABLE, told=None, since=day, looked_on=day, psi=0.0))
    return True


async def _references(session: AsyncSession) -> dict[tuple[str, str], Reference]:
    rows = await session.execute(select(Model.name, Model.version, Model.manifest))
    found = {(name, version): Bundle.model_validate(manifest).reference for name, version, manifest in rows}
    return {key: reference for key, reference in found.items() if reference}


async def _judge(
    session: AsyncSession, day: datetime.date, kept: Kept, measure: str, counted: Sum, reference: Reference
) -> None:
    """Remember where a measure is. Told: a band higher than any told of since it was stable."""
    value = psi(reference.measures[measure], reference.n, counted.bins)
    band = band_of(value, counted.studies)
    if band == Band.TOO_FEW:
        return
    row = await _row(session, day, kept, measure)
    if row.band != band:
        row.since = day
    row.band, row.psi, row.studies, row.looked_on = band, value, counted.studies, day
    if band == Band.STABLE:
        row.told = None
    elif RANK[band] > RANK[Band(row.told) if row.told else None]:
        row.told = band
        drifted = ModelDrifted(
            facility_id=kept.facility_id,
            model=kept.model_name,
            model_version=kept.model_version,
            measure=measure,
            band=band.value,
            psi=round(value, 4),
            studies=counted.studies,
            slices=sum(counted.bins),
        )
        await tell(session, row, drifted)
        log.warning("model drifted", model=kept.model_name, version=kept.model_version, measure=measure, band=band)


async def _row(session: AsyncSession, day: datetime.date, kept: Kept, measure: str) -> Drift:
    its: dict[str, str | UUID] = {
        "facility_id": kept.facility_id,
        "model_name": kept.model_name,
        "model_version": kept.model_version,
        "measure": measure,
    }
    row = await session.scalar(select(Drift).filter_by(**its))
    if row is None:
        row = Drift(**its, band=Band.STABLE, psi=0.0, studies=0, since=day, looked_on=day)
        session.add(row)
    return row


async def _show(session: AsyncSession) -> None:
    worst = select(Drift.model_name, Drift.model_version, Drift.measure, func.max(Drift.psi))
    PSI.clear()
    for *labels, value in await session.execute(worst.group_by(Drift.model_name, Drift.model_version, Drift.measure)):
        PSI.labels(*labels).set(value)
