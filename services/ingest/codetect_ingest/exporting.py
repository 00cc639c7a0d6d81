"""A study as a zip of DICOM files, under pseudonyms or as it came, streamed: two pieces of it are held at a time."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from codetect_shared import audit
from codetect_shared.problems import ServiceUnavailable
from codetect_shared.storage import Bucket, ObjectMissing, Storage, StorageUnavailable
from codetect_shared.tokens import Principal
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.dicom.identity import Attributes, restored_file
from codetect_ingest.identities import instance_owner, originals, settings_of
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.looking import require_identity
from codetect_ingest.models import InstanceRow, Kind, Profile, Series, Study
from codetect_ingest.service import Ingest
from codetect_ingest.zipping import Zip

SPAN_BYTES = 8 << 20
LISTED = (
    InstanceRow.bucket,
    InstanceRow.key,
    InstanceRow.offset,
    InstanceRow.length,
    InstanceRow.series_id,
    InstanceRow.sop_instance_uid,
    InstanceRow.sealed_identity,
)


class View(StrEnum):
    """Whose names exported images bear."""

    DEIDENTIFIED = "deidentified"
    ORIGINAL = "original"


@dataclass(frozen=True)
class Part:
    """A file of the export: its name in the zip, and where it lies."""

    name: str
    row: Row[str, str, int, int, UUID, str, bytes | None]

    @property
    def end(self) -> int:
        """Where it ends inside its object."""
        return int(self.row.offset + self.row.length)


@dataclass(frozen=True)
class WayBack:
    """What gives a study's clean files their identity back; instances' own parts are opened one by one."""

    key: FacilityKey
    study: Attributes
    series: dict[UUID, Attributes]
    sealed: set[UUID]
    uids: dict[str, str]

    def restore(self, part: Part, data: bytes) -> bytes:
        """Return a file as it came, but for what was never an identity; one that was kept sealed, as it is."""
        owner = instance_owner(part.row.series_id, part.row.sop_instance_uid)
        if part.row.series_id in self.sealed:
            return self.key.unseal_bytes(data, owner)
        levels = [self.study, self.series.get(part.row.series_id, {})]
        if part.row.sealed_identity:
            levels.append(self.key.unseal_identity(part.row.sealed_identity, owner))
        return restored_file(data, self.uids, *levels)


async def export(ingest: Ingest, who: Principal, study_id: UUID, view: View) -> AsyncIterator[bytes]:
    """Return the zip's bytes as they come, its first ones at hand already.

    Raises Forbidden, StudyNotFound, IdentityForgotten, ServiceUnavailable; later StorageUnavailable or, when the study
    is erased meanwhile, ObjectMissing, which cut the answer short.
    """
    async with ingest.db.facility(who.facility_id) as session:
        study = await _find(session, who, study_id)
        back = await _way_back(session, ingest, who, study) if view is View.ORIGINAL else None
        parts = await _parts(session, study, with_sealed=back is not None)
        await audit.record(session, who, "study.export", study_id=study_id, detail={"view": view.value})
    pieces = _zipped(ingest.storage, parts, back)
    try:
        first = await anext(pieces)
    except (StorageUnavailable, ObjectMissing) as error:
        raise ServiceUnavailable from error
    return _chain(first, pieces)


async def _find(session: AsyncSession, who: Principal, study_id: UUID) -> Study:
    mine = select(Study).where(Study.id == study_id, Study.facility_id == who.facility_id, Study.instances > 0)
    study = await session.scalar(mine)
    if study is None:
        raise problems.StudyNotFound
    return study


async def _parts(session: AsyncSession, study: Study, *, with_sealed: bool) -> list[Part]:
    """Name a study's files by number, in the order in which they are read."""
    series = select(Series.id).where(Series.study_id == study.id).order_by(Series.id)
    if not with_sealed:
        series = series.where(Series.kind != Kind.SEALED)
    numbers = {series_id: number for number, series_id in enumerate(await session.scalars(series), 1)}
    mine = InstanceRow.study_id == study.id, InstanceRow.facility_id == study.facility_id
    listed = select(*LISTED).where(*mine, InstanceRow.series_id.in_(numbers))
    rows = await session.execute(
        listed.order_by(
            InstanceRow.series_id, InstanceRow.index, InstanceRow.instance_number, InstanceRow.sop_instance_uid
        )
    )
    parts = [
        Part(f"{study.id}/{numbers[series_id]:03}/{number:05}.dcm", row)
        for series_id, group in groupby(rows, key=lambda row: row.series_id)
        for number, row in enumerate(group, 1)
    ]
    return sorted(parts, key=lambda part: (numbers[part.row.series_id], part.row.key, part.row.offset))


async def _way_back(session: AsyncSession, ingest: Ingest, who: Principal, study: Study) -> WayBack:
    require_identity(who)
    forgetful = (await settings_of(session, who.facility_id)).profile == Profile.FORGET
    if forgetful or study.sealed_identity is None:
        raise problems.IdentityForgotten("Export the de-identified view.")
    key = await facility_key(session, who.facility_id, ingest.settings.master_key)
    sealed = select(Series.id, Series.sealed_identity).where(
        Series.study_id == study.id, Series.sealed_identity.is_not(None)
    )
    unread = select(Series.id).where(Series.study_id == study.id, Series.kind == Kind.SEALED)
    return WayBack(
        key,
        key.unseal_identity(study.sealed_identity, study.id),
        {series_id: key.unseal_identity(mine or b"", series_id) for series_id, mine in await session.execute(sealed)},
        set(await session.scalars(unread)),
        await originals(session, study, key),
    )


async def _zipped(storage: Storage, parts: list[Part], back: WayBack | None) -> AsyncIterator[bytes]:
    """Yield the zip; while one span of a pack is sent, the next is fetched."""
    spans = iter(_spans(parts))
    ahead = _fetch(storage, next(spans, None))
    try:
        with Zip() as archive:
            while (fetched := await ahead) is not None:
                span, data = fetched
                ahead = _fetch(storage, next(spans, None))
                for part in span:
                    begin = part.row.offset - span[0].row.offset
                    body = data[begin : begin + part.row.length]
                    if back:
                        body = await asyncio.to_thread(back.restore, part, body)
                    yield archive.add(part.name, body)
            yield archive.end()
    finally:
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)


def _fetch(storage: Storage, span: list[Part] | None) -> "asyncio.Task[tuple[list[Part], bytes] | None]":
    async def fetch() -> tuple[list[Part], bytes] | None:
        if span is None:
            return None
        first, bucket = span[0].row, _bucket(span[0].row.bucket)
        return span, await storage.get(bucket, first.key, part=(first.offset, span[-1].end - first.offset))

    return asyncio.create_task(fetch())


def _spans(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Yield runs of files that lie one behind the other in one object, of some megabytes each."""
    span: list[Part] = []
    for part in parts:
        if span:
            adjoining = part.row.key == span[0].row.key and part.row.offset == span[-1].end
            if not adjoining or part.end - span[0].row.offset > SPAN_BYTES:
                yield span
                span = []
        span.append(part)
    if span:
        yield span


def _bucket(name: str) -> Bucket:
    return "results" if name == "results" else "studies"


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
