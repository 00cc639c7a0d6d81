"""A facility's studies as a table, one row a series, read in short transactions however slowly a client takes them."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from codetect_shared import audit
from codetect_shared.tokens import Principal
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import looking
from codetect_ingest.identities import settings_of
from codetect_ingest.models import Series, Study
from codetect_ingest.service import Ingest

STUDIES_AT_ONCE = 500
OF_STUDY = {
    "study_id": str,
    "patient_id": str,
    "study_instance_uid": str,
    "study_date": str,
    "created_at": datetime,
    "updated_at": datetime,
    "version": int,
    "instances": int,
    "stored_bytes": int,
    "legal_hold": bool,
    "expires_at": datetime,
}
OF_SERIES = {
    "series_id": str,
    "series_instance_uid": str,
    "kind": str,
    "modality": str,
    "plane": str,
    "slices": int,
    "rows": int,
    "columns": int,
    "convolution_kernel": str,
    "body_part": str,
    "slice_thickness_mm": float,
}
OF_IDENTITY = {f"original_{name}": str for name in looking.SHOWN}


@dataclass(frozen=True)
class Query:
    """Which studies: came within [since, until), of this patient (pseudonym); `identities`: with who they are."""

    since: datetime | None = None
    until: datetime | None = None
    patient_id: str | None = None
    identities: bool = False

    @property
    def columns(self) -> dict[str, type]:
        """The table's columns, in order."""
        return OF_STUDY | OF_SERIES | (OF_IDENTITY if self.identities else {})


async def begin(ingest: Ingest, who: Principal, query: Query) -> AsyncIterator[list[list[Any]]]:
    """Write down that somebody takes a table, and return its rows, the first at hand. Raises AuditUnavailable."""
    async with ingest.db.facility(who.facility_id) as session:
        await audit.record(session, who, "studies.export", detail={"identities": query.identities})
    rows = batches(ingest, who, query)
    first = await anext(rows, None)

    async def chained() -> AsyncIterator[list[list[Any]]]:
        if first is not None:
            yield first
        async for batch in rows:
            yield batch

    return chained()


async def batches(ingest: Ingest, who: Principal, query: Query) -> AsyncIterator[list[list[Any]]]:
    """Yield rows, newest studies first; what identifies is audited, study by study, before it is given away."""
    before: UUID | None = None
    while True:
        async with ingest.db.facility(who.facility_id) as session:
            studies = await _studies(session, who, query, before)
            rows = await _rows(session, ingest, who, query, studies)
        if studies:
            yield rows
        if len(studies) < STUDIES_AT_ONCE:
            return
        before = studies[-1].id


async def _studies(session: AsyncSession, who: Principal, query: Query, before: UUID | None) -> list[Study]:
    chosen = select(Study).where(Study.facility_id == who.facility_id, Study.instances > 0)
    if query.since:
        chosen = chosen.where(Study.created_at >= query.since)
    if query.until:
        chosen = chosen.where(Study.created_at < query.until)
    if query.patient_id:
        chosen = chosen.where(Study.patient_id == query.patient_id)
    if before:
        chosen = chosen.where(Study.id < before)
    return list(await session.scalars(chosen.order_by(Study.id.desc()).limit(STUDIES_AT_ONCE)))


async def _rows(
    session: AsyncSession, ingest: Ingest, who: Principal, query: Query, studies: Sequence[Study]
) -> list[list[Any]]:
    ids = [study.id for study in studies]
    series: defaultdict[UUID, list[Series | None]] = defaultdict(list)
    for one in await session.scalars(select(Series).where(Series.study_id.in_(ids)).order_by(Series.id)):
        series[one.study_id].append(one)
    days = (await settings_of(session, who.facility_id)).retention_days
    known = await looking.identities(session, ingest, who, ids) if query.identities else {}
    await audit.record_each(session, who, looking.READ, [study_id for study_id in ids if study_id in known])
    rows = []
    for study in studies:
        identity = known.get(study.id)
        person = [getattr(identity, name, None) for name in looking.SHOWN] if query.identities else []
        rows += [_of_study(study, days) + _of_series(one) + person for one in series[study.id] or [None]]
    return rows


def _of_study(study: Study, retention_days: int | None) -> list[Any]:
    kept = retention_days is not None and not study.legal_hold
    values = {"study_id": str(study.id), "expires_at": None}
    if kept:
        values["expires_at"] = study.created_at + timedelta(days=retention_days or 0)  # type: ignore[assignment]
    return [values[name] if name in values else getattr(study, name) for name in OF_STUDY]


def _of_series(series: Series | None) -> list[Any]:
    if series is None:
        return [None] * len(OF_SERIES)
    values = {"series_id": str(series.id), "kind": series.kind, "modality": series.modality}
    values |= {"series_instance_uid": series.series_instance_uid}
    return [values.get(name, (series.facts or {}).get(name)) for name in OF_SERIES]
