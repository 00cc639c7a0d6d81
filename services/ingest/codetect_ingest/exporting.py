"""A study as a zip of DICOM files, under pseudonyms or as it came, streamed: a few blocks of it are held at a time.

Read and given as DICOMweb does, but past the cache of what viewers look at: an export reads everything once.
"""

from collections.abc import AsyncIterator, Iterator
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from codetect_shared import audit
from codetect_shared.storage import Storage
from codetect_shared.tokens import Principal
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.dicomweb import views
from codetect_ingest.dicomweb.blocks import BLOCK_BYTES, Blocks
from codetect_ingest.dicomweb.finding import IN_ORDER, Located, instances_of, names_of
from codetect_ingest.dicomweb.giving import Giving
from codetect_ingest.dicomweb.reading import AHEAD, read_files
from codetect_ingest.identities import forgets
from codetect_ingest.keys import facility_key
from codetect_ingest.looking import require_identity
from codetect_ingest.models import Study
from codetect_ingest.service import Ingest
from codetect_ingest.zipping import Zip

HELD_BYTES = (AHEAD + 2) * BLOCK_BYTES  # what comes, what is read, and what was: that is the first to go


class View(StrEnum):
    """Whose names exported images bear."""

    DEIDENTIFIED = "deidentified"
    ORIGINAL = "original"


async def export(ingest: Ingest, who: Principal, study_id: UUID, view: View) -> AsyncIterator[bytes]:
    """Return the zip's bytes as they come, its first ones at hand already.

    Raises Forbidden, StudyNotFound, IdentityForgotten, ServiceUnavailable; later ServiceUnavailable or, when the study
    is erased meanwhile, NothingThere, which cut the answer short.
    """
    async with ingest.db.facility(who.facility_id) as session:
        study = await _find(session, who, study_id)
        seen = await _original(session, ingest, who, study) if view is View.ORIGINAL else views.View(who)
        query = instances_of(who.facility_id, seen).where(Study.id == study_id).order_by(*IN_ORDER)
        located = [Located(row.study, row.series, row.instance) for row in await session.execute(query)]
        giving = Giving(seen, await names_of(session, seen, located))
        await audit.record(session, who, "study.export", study_id=study_id, detail={"view": view.value})
    pieces = _zipped(ingest.storage, located, giving)
    return _chain(await anext(pieces), pieces)


async def _find(session: AsyncSession, who: Principal, study_id: UUID) -> Study:
    mine = select(Study).where(Study.id == study_id, Study.facility_id == who.facility_id, Study.instances > 0)
    study = await session.scalar(mine)
    if study is None:
        raise problems.StudyNotFound
    return study


async def _original(session: AsyncSession, ingest: Ingest, who: Principal, study: Study) -> views.OriginalView:
    require_identity(who)
    if await forgets(session, who.facility_id) or study.sealed_identity is None:
        raise problems.IdentityForgotten("Export the de-identified view.")
    return views.OriginalView(who, await facility_key(session, who.facility_id, ingest.settings.master_key))


def _named(located: list[Located]) -> Iterator[tuple[tuple[UUID, str], str]]:
    """Name a study's files by number, in their order."""
    for number, (series_id, group) in enumerate(groupby(located, key=lambda one: one.series.id), 1):
        for position, one in enumerate(group, 1):
            name = f"{one.study.id}/{number:03}/{position:05}.dcm"
            yield (series_id, one.instance.sop_instance_uid), name


async def _zipped(storage: Storage, located: list[Located], giving: Giving) -> AsyncIterator[bytes]:
    names = dict(_named(located))
    with Zip() as archive:
        async for one, pieces in read_files(Blocks(storage, HELD_BYTES), located):
            body = b"".join(await giving.given(one, pieces))
            yield archive.add(names[one.series.id, one.instance.sop_instance_uid], body)
        yield archive.end()


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
