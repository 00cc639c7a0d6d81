"""Rows of studies, series and instances, made of what was read."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from codetect_shared.db import uuid7
from sqlalchemy import delete, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.assembly import NewSeries, Slice
from codetect_ingest.dicom.identity import Identity
from codetect_ingest.identities import Sealer
from codetect_ingest.models import InstanceRow, Kind, Series, Study, StudyTerm, Upload
from codetect_ingest.packs import Found, Place

INSTANCE_COLUMNS = [column.key for column in InstanceRow.__table__.columns]
NOWHERE_ELSE = 0  # a header's length where the data set lies in the file alone
NOT_WAITING = {"hu_key": None, "hu_offset": None, "hu_length": None}


class Named(Protocol):
    """What says which patient, study and series it belongs to, in pseudonyms."""

    @property
    def patient_id(self) -> str: ...  # noqa: D102
    @property
    def study_instance_uid(self) -> str: ...  # noqa: D102
    @property
    def series_instance_uid(self) -> str: ...  # noqa: D102
    @property
    def sop_instance_uid(self) -> str: ...  # noqa: D102
    @property
    def study_date(self) -> str | None: ...  # noqa: D102


def study(facility_id: UUID, first: Named) -> dict[str, Any]:
    """Return the row that reserves a study's id: it has no version and no identity yet."""
    return {
        "id": uuid7(),
        "facility_id": facility_id,
        "study_instance_uid": first.study_instance_uid,
        "patient_id": first.patient_id,
        "study_date": first.study_date,
    }


async def seal_study(session: AsyncSession, study: Study, identity: Identity, sealer: Sealer) -> None:
    """Keep a study's identity as its first file had it, and what it can be found by."""
    if study.sealed_identity is not None or not sealer.keeps:
        return
    study.sealed_identity = sealer.study(identity, study.id)
    terms = [{"facility_id": study.facility_id, "term": term, "study_id": study.id} for term in sealer.terms(identity)]
    if terms:
        await session.execute(upsert(StudyTerm).values(terms).on_conflict_do_nothing())


async def upsert_series(
    session: AsyncSession, study: Study, series_id: UUID, first: Found, sealer: Sealer, facts: dict[str, Any] | None
) -> None:
    """Enter a series, or give a known one its new facts."""
    row = {
        "id": series_id,
        "facility_id": study.facility_id,
        "study_id": study.id,
        "series_instance_uid": first.instance.series_instance_uid,
        "kind": Kind.IMAGE,
        "modality": first.instance.modality,
        "attributes": first.attributes,
        "facts": facts,
        "sealed_identity": sealer.series(first.identity, series_id),
    }
    statement = upsert(Series).values(row)
    if facts is None:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(index_elements=[Series.id], set_={"facts": facts})
    await session.execute(statement)


async def enter_whole(
    session: AsyncSession, study: Study, series: dict[str, Any], instance: dict[str, Any], *, replace: bool
) -> None:
    """Enter an instance that isn't a slice, and its series: it lies alone in its object, its data set nowhere else.

    One that is there already stays; with `replace`, what came last counts.
    """
    owners = {"facility_id": study.facility_id, "study_id": study.id}
    await session.execute(upsert(Series).values(series | owners).on_conflict_do_nothing())
    alone = {"series_id": series["id"], "offset": 0, "header_offset": 0, "header_length": NOWHERE_ELSE}
    statement = upsert(InstanceRow).values(instance | owners | alone)
    if replace:
        statement = statement.on_conflict_do_update(
            index_elements=[InstanceRow.series_id, InstanceRow.sop_instance_uid],
            set_={name: statement.excluded[name] for name in instance},
        )
    else:
        statement = statement.on_conflict_do_nothing()
    await session.execute(statement)


async def write_series(session: AsyncSession, study: Study, series: NewSeries, upload: Upload, sealer: Sealer) -> None:
    """Write a series' new version: every slice of its volume with its place in it."""
    first = next((s.new for s in series.slices if s.new), None)
    facts, series_id = series.facts.model_dump(mode="json"), series.facts.series_id
    if first:
        await seal_study(session, study, first.identity, sealer)
        await upsert_series(session, study, series_id, first, sealer, facts)
    else:
        (await session.get_one(Series, series_id)).facts = facts
    named = [s.instance.sop_instance_uid for s in series.slices]
    mine = InstanceRow.series_id == series_id, InstanceRow.sop_instance_uid.in_(named)
    before = delete(InstanceRow).where(*mine).returning(InstanceRow.sop_instance_uid, InstanceRow.sealed_identity)
    # Since they were read, known identities may have been sealed anew, or forgotten.
    sealed = {row.sop_instance_uid: row.sealed_identity for row in await session.execute(before)}
    values = [_slice(series, study, upload, index, one, sealer, sealed) for index, one in enumerate(series.slices)]
    await session.execute(insert(InstanceRow), values)


def _slice(
    series: NewSeries,
    study: Study,
    upload: Upload,
    index: int,
    one: Slice,
    sealer: Sealer,
    sealed: Mapping[str, bytes | None],
) -> dict[str, Any]:
    if one.new:
        place = series.places[one.new.slot]
        row = instance(study, series.facts.series_id, upload.id, one.new, place, sealer)
    else:
        row = {name: getattr(one.row, name) for name in INSTANCE_COLUMNS}
        row["sealed_identity"] = sealed.get(row["sop_instance_uid"])
    return row | NOT_WAITING | {"index": index}


def instance(
    study: Study, series_id: UUID, upload_id: UUID, found: Found, place: Place, sealer: Sealer
) -> dict[str, Any]:
    """Return the row of an instance that was read, its file at `place` in a pack."""
    facts = found.instance
    return {
        "series_id": series_id,
        "sop_instance_uid": facts.sop_instance_uid,
        "facility_id": study.facility_id,
        "study_id": study.id,
        "upload_id": upload_id,
        "sop_class_uid": facts.sop_class_uid,
        "transfer_syntax_uid": facts.transfer_syntax_uid,
        "instance_number": facts.instance_number,
        "index": None,
        "bucket": "studies",
        "key": place.key,
        "source": found.number,
        "facts": facts.model_dump(mode="json"),
        "sealed_identity": sealer.instance(found.identity, series_id, facts.sop_instance_uid),
        "offset": place.offset,
        "length": place.length,
        "header_offset": place.header_offset,
        "header_length": place.header_length,
        **NOT_WAITING,
    }
