"""QIDO-RS (PS3.18 10.6): studies, series and instances that match, described as who asks may see them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from codetect_shared.tokens import Principal
from pydicom.datadict import dictionary_VR, tag_for_keyword
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.dicom.identity import (
    INSTANCE_LEVEL,
    SERIES_LEVEL,
    SERIES_UID,
    SOP_UID,
    STUDY_LEVEL,
    STUDY_UID,
    Attributes,
)
from codetect_ingest.dicom.instance import SERIES_ATTRIBUTES
from codetect_ingest.dicomweb.finding import INSTANCE, SERIES, STUDY
from codetect_ingest.dicomweb.narrowing import Level, Narrowed, Narrowing
from codetect_ingest.dicomweb.problems import SearchTooBroad
from codetect_ingest.dicomweb.queries import Matching, Query
from codetect_ingest.dicomweb.views import CHARACTER_SET, View, view_of
from codetect_ingest.models import InstanceRow, Kind, Series, Study
from codetect_ingest.service import Ingest

# fmt: off
RETURNED: dict[Level, tuple[str, ...]] = {
    Level.STUDY: (
        "StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability", "ModalitiesInStudy",
        "ReferringPhysicianName", "RetrieveURL", "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
        "StudyInstanceUID", "StudyID", "StudyDescription", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    Level.SERIES: (
        "Modality", "SeriesDescription", "RetrieveURL", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
        "NumberOfSeriesRelatedInstances", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime",
        "RequestAttributesSequence",
    ),
    Level.INSTANCE: (
        "SOPClassUID", "SOPInstanceUID", "InstanceAvailability", "RetrieveURL", "StudyInstanceUID",
        "SeriesInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
    ),
}  # PS3.18 Tables 10.6.3-3 to 10.6.3-5
# fmt: on
KNOWN: dict[Level, tuple[str, ...]] = {
    Level.STUDY: (*STUDY_LEVEL, "ModalitiesInStudy"),
    Level.SERIES: (*SERIES_LEVEL, *SERIES_ATTRIBUTES),
    Level.INSTANCE: (
        *INSTANCE_LEVEL,
        *("SOPClassUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames", "PixelSpacing"),
        *("ImagePositionPatient", "ImageOrientationPatient"),
    ),
}
MOST = {Level.STUDY: 1000, Level.SERIES: 5000, Level.INSTANCE: 10_000}
SCANNED, BATCH, AT_ONCE, GENEROUS = 50_000, 500, 10_000, 8
MORE = "There are additional results that can be requested"
NOT_FUZZY = "The fuzzymatching parameter is not supported. Only literal matching has been performed."
IGNORED = "These attributes are not matched on here and were ignored:"


@cache
def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"


@cache
def _vr(keyword: str) -> str:
    return dictionary_VR(keyword)


TAGS = {level: [(_tag(keyword), _vr(keyword)) for keyword in keywords] for level, keywords in RETURNED.items()}
LEVELS = {_tag(keyword): level for level in reversed(Level) for keyword in KNOWN[level]}


@dataclass(frozen=True)
class Results:
    """What was found, and what is to be said beside it (PS3.18 10.6.3.3)."""

    items: list[Attributes]
    warnings: list[str]


@dataclass(frozen=True)
class Search:
    """One search: who asks for what, where, and the address that answers lead to."""

    facility_id: UUID
    view: View
    level: Level
    query: Query
    base: str
    study: str | None = None
    series: str | None = None

    def statement(self) -> Select[Any]:
        """Select what there is at this level; newest studies first."""
        mine = Study.facility_id == self.facility_id
        if self.level is Level.STUDY:
            here = select(1).where(
                Series.study_id == Study.id, Series.facility_id == self.facility_id, self.view.visible()
            )
            found = select(STUDY).where(mine, Study.instances > 0, here.exists()).order_by(Study.id.desc())
        elif self.level is Level.SERIES:
            found = select(STUDY, SERIES).select_from(Series).join(Study, Study.id == Series.study_id)
            found = found.where(mine, Series.facility_id == self.facility_id, self.view.visible())
            found = found.order_by(Series.study_id.desc(), Series.id)
        else:
            found = select(STUDY, SERIES, INSTANCE).select_from(InstanceRow)
            found = found.join(Series, Series.id == InstanceRow.series_id).join(Study, Study.id == Series.study_id)
            found = found.where(mine, InstanceRow.facility_id == self.facility_id, self.view.visible())
            found = found.where(Series.facility_id == self.facility_id)
            order = InstanceRow.index.nulls_last(), InstanceRow.instance_number, InstanceRow.sop_instance_uid
            found = found.order_by(InstanceRow.study_id.desc(), InstanceRow.series_id, *order)
        if self.study is not None:
            found = found.where(Study.study_instance_uid.in_(self.view.uids(self.study)))
        if self.series is not None:
            found = found.where(Series.series_instance_uid.in_(self.view.uids(self.series)))
        return found

    def attributes(self, row: Any) -> Attributes:
        """Return everything that is known of a row at its level and above, but for what has to be counted."""
        found = clean_study(row.study) | self.view.study(row.study)
        if self.level >= Level.SERIES:
            found |= clean_series(row.series) | self.view.series(row.series)
        if self.level is Level.INSTANCE:
            found |= clean_instance(row.instance) | self.view.instance(row.instance)
        return found

    def item(self, row: Any, counted: Attributes) -> Attributes:
        """Describe a row: what every answer has, empty where nothing is known, and what was asked for."""
        known = self.attributes(row) | counted | CHARACTER_SET
        known |= _one("InstanceAvailability", "ONLINE") | _one("RetrieveURL", self._url(known))
        levels = [self.level]
        levels += [Level.STUDY] if self.study is None and self.level > Level.STUDY else []
        levels += [Level.SERIES] if self.series is None and self.level is Level.INSTANCE else []
        if self.query.everything:
            found = dict(known)
        else:
            wanted = {one.tag for one in self.query.matching} | self.query.included | {"00080005"}
            found = {tag: known[tag] for tag in wanted if tag in known}
        for level in levels:
            for tag, vr in TAGS[level]:
                found.setdefault(tag, known.get(tag, {"vr": vr}))
        return dict(sorted(found.items()))

    def _url(self, known: Attributes) -> str:
        parts = ("studies", STUDY_UID), ("series", SERIES_UID), ("instances", SOP_UID)
        named = (f"/{name}/{known[tag]['Value'][0]}" for name, tag in parts[: self.level + 1])
        return self.base + "".join(named)


async def search(
    session: AsyncSession,
    ingest: Ingest,
    who: Principal,
    level: Level,
    query: Query,
    base: str,
    address: tuple[str | None, str | None] = (None, None),
) -> Results:
    """Search, and write down that somebody did. Raises SearchTooBroad, QueryInvalid."""
    view = await view_of(session, ingest, who)
    asked = Search(who.facility_id, view, level, query, base, *address)
    unsealed = view.original and bool(query.matching) and await _any_unsealed(session, who.facility_id)
    narrowing = Narrowing(who.facility_id, view, level, LEVELS.get, unsealed, query.fuzzy)
    narrowed = narrowing.narrow(query.matching)
    most = min(query.limit if query.limit is not None else MOST[level], MOST[level])
    rows = await _rows(session, asked, narrowed, most + 1) if most else []
    found, more = rows[:most], len(rows) > most
    counted = await _counted(session, asked, found)
    items = [asked.item(row, counted(row)) for row in found]
    await view.note_search(session, level.name.lower(), len(items))
    return Results(items, list(_warnings(narrowed, query, view, more)))


def _warnings(narrowed: Narrowed, query: Query, view: View, more: bool) -> Iterable[str]:
    if more:
        yield MORE
    if query.fuzzy and not view.original:
        yield NOT_FUZZY
    if narrowed.ignored:
        yield f"{IGNORED} {', '.join(one.keyword or one.tag for one in narrowed.ignored)}"


async def _rows(session: AsyncSession, asked: Search, narrowed: Narrowed, wanted: int) -> list[Any]:
    """Return the rows of one page and what is beyond it. Raises SearchTooBroad."""
    statement = asked.statement().where(*narrowed.conditions)
    offset = asked.query.offset
    if not narrowed.left:
        return list(await session.execute(statement.offset(offset).limit(wanted)))

    def fitting(rows: Iterable[Any]) -> list[Any]:
        return [row for row in rows if _fits(asked.attributes(row), narrowed.left, fuzzy=asked.query.fuzzy)]

    if narrowed.conditions:  # then mostly many of them fit, and who asks for few gets few quickly
        for candidates in (offset + wanted, GENEROUS * (offset + wanted)):
            if candidates > AT_ONCE:
                break
            rows = list(await session.execute(statement.limit(candidates)))
            found = fitting(rows)
            if len(found) >= offset + wanted or len(rows) < candidates:
                return found[offset : offset + wanted]
    found, scanned = [], 0
    stream = await session.stream(statement.execution_options(yield_per=BATCH))
    try:
        async for rows in stream.partitions(BATCH):
            found += fitting(rows)
            if len(found) >= offset + wanted:
                break
            scanned += len(rows)
            if scanned >= SCANNED:
                raise SearchTooBroad
    finally:
        await stream.close()
    return found[offset : offset + wanted]


def _fits(known: Attributes, matching: Iterable[Matching], *, fuzzy: bool) -> bool:
    return all(one.fits(known.get(one.tag, {}), fuzzy=fuzzy) for one in matching)


async def _any_unsealed(session: AsyncSession, facility_id: UUID) -> bool:
    """Whether the facility has studies of which no identity is kept."""
    mine = Study.facility_id == facility_id, Study.sealed_identity.is_(None), Study.instances > 0
    return bool(await session.scalar(select(select(Study.id).where(*mine).exists())))


async def _counted(session: AsyncSession, asked: Search, rows: Sequence[Any]) -> Callable[[Any], Attributes]:
    """Count what the page's rows hold."""
    if not rows:
        return lambda row: {}
    studies = {row.study.id: row.study for row in rows}
    modalities: dict[UUID, list[str]] = {study_id: [] for study_id in studies}
    hidden: set[UUID] = set()
    query = select(Series.id, Series.study_id, Series.modality, Series.kind).where(
        Series.facility_id == asked.facility_id, Series.study_id.in_(studies)
    )
    for series_id, study_id, modality, kind in await session.execute(query.order_by(Series.id)):
        if kind == Kind.SEALED and not asked.view.original:
            hidden.add(series_id)
        else:
            modalities[study_id].append(modality)
    unseen = await _instances(session, asked.facility_id, hidden)
    fewer = {study_id: sum(n for (of, _), n in unseen.items() if of == study_id) for study_id in studies}
    of_series: dict[tuple[UUID, UUID], int] = {}
    if asked.level >= Level.SERIES:
        of_series = await _instances(session, asked.facility_id, {row.series.id for row in rows})

    def counted(row: Any) -> Attributes:
        study = row.study
        found = _many("ModalitiesInStudy", sorted(set(modalities[study.id])))
        found |= _one("NumberOfStudyRelatedSeries", len(modalities[study.id]))
        found |= _one("NumberOfStudyRelatedInstances", study.instances - fewer[study.id])
        if asked.level >= Level.SERIES:
            found |= _one("NumberOfSeriesRelatedInstances", of_series.get((study.id, row.series.id), 0))
        return found

    return counted


async def _instances(session: AsyncSession, facility_id: UUID, series_ids: set[UUID]) -> dict[tuple[UUID, UUID], int]:
    """Count instances by study and series."""
    if not series_ids:
        return {}
    mine = InstanceRow.facility_id == facility_id, InstanceRow.series_id.in_(series_ids)
    key = InstanceRow.study_id, InstanceRow.series_id
    counts = await session.execute(select(*key, func.count()).where(*mine).group_by(*key))
    return {(study_id, series_id): count for study_id, series_id, count in counts}


def clean_study(row: Any) -> Attributes:
    """Describe patient and study by what is kept in the clear."""
    return (
        _one("StudyInstanceUID", row.study_instance_uid)
        | _one("PatientID", row.patient_id)
        | _one("StudyDate", row.study_date)
    )


def clean_series(row: Any) -> Attributes:
    """Describe a series likewise."""
    known: Attributes = dict(row.attributes)
    return known | _one("SeriesInstanceUID", row.series_instance_uid) | _one("Modality", row.modality)


def clean_instance(row: Any) -> Attributes:
    """Describe an instance likewise."""
    facts = row.facts
    found = _one("SOPInstanceUID", row.sop_instance_uid) | _one("SOPClassUID", row.sop_class_uid)
    found |= _one("InstanceNumber", row.instance_number)
    for keyword, name in (("Rows", "rows"), ("Columns", "columns"), ("NumberOfFrames", "frames")):
        found |= _one(keyword, facts.get(name))
    if "rows" in facts:
        found |= _one("BitsAllocated", facts.get("bits_allocated", 16))
    for keyword, name in (
        ("PixelSpacing", "pixel_spacing_mm"),
        ("ImagePositionPatient", "position_mm"),
        ("ImageOrientationPatient", "orientation"),
    ):
        found |= _many(keyword, facts.get(name) or [])
    return found


def _one(keyword: str, value: Any) -> Attributes:
    return _many(keyword, [] if value in (None, "") else [value])


def _many(keyword: str, values: Sequence[Any]) -> Attributes:
    return {_tag(keyword): {"vr": _vr(keyword)} | ({"Value": list(values)} if values else {})}
