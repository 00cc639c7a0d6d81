"""Erasing studies: rows at once, in one transaction; objects after it, as often as it takes, and again an hour later.

An `erasures` row says how far one is: asked for, its prefix emptied, the store's disk reclaimed, looked through once
more for what a late importer wrote (`done_at`); and, beside these, whether what was told of it is forgotten. Each step
can be done again: a crash between any two is harmless.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import structlog
from codetect_shared import audit, outbox
from codetect_shared.events import StudyErased
from codetect_shared.storage import StorageUnavailable
from codetect_shared.tokens import Principal
from sqlalchemy import case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import objects, problems
from codetect_ingest.models import Delivery, Erasure, InstanceRow, Series, Study, StudyTerm, Upload, UploadFile
from codetect_ingest.schemas import StudyOut
from codetect_ingest.service import Ingest, show_study

log = structlog.get_logger()
AT_ONCE = 50
LATE = timedelta(hours=1)
LAZILY = timedelta(seconds=15)  # SeaweedFS says "removed" a moment before the bytes can be reclaimed
VACUUM_S = 60


async def erase(session: AsyncSession, who: Principal, study_id: UUID, why: str = "request") -> Erasure:
    """Erase a study's rows and have its objects erased. Asked again, answer the same. StudyNotFound, UnderLegalHold."""
    mine = select(Study).where(Study.id == study_id, Study.facility_id == who.facility_id)
    study = await session.scalar(mine.with_for_update().execution_options(populate_existing=True))
    if study is None:
        asked = select(Erasure).where(Erasure.study_id == study_id, Erasure.facility_id == who.facility_id)
        if known := await session.scalar(asked):
            return known
        raise problems.StudyNotFound
    if study.legal_hold:
        raise problems.UnderLegalHold("An admin of the facility can lift the hold: DELETE .../legal-hold.")
    await audit.record(session, who, "study.erase", study_id=study_id, detail={"why": why})
    await outbox.tell(session, study, StudyErased(study_id=study_id))
    await _unlink_uploads(session, study)
    for table in (InstanceRow, Series, StudyTerm, Delivery):
        await session.execute(
            delete(table).where(table.study_id == study_id, table.facility_id == who.facility_id),
            execution_options={"synchronize_session": False},
        )
    session.expunge(study)
    await session.execute(delete(Study).where(Study.id == study_id, Study.facility_id == who.facility_id))
    erasure = Erasure(study_id=study_id, facility_id=who.facility_id)
    session.add(erasure)
    await session.flush()
    await session.refresh(erasure)
    await _forget_events(session, erasure)
    return erasure


async def hold(session: AsyncSession, who: Principal, study_id: UUID, *, held: bool) -> StudyOut:
    """Put a study under legal hold, or lift it. Raises StudyNotFound."""
    mine = select(Study).where(Study.id == study_id, Study.facility_id == who.facility_id, Study.instances > 0)
    study = await session.scalar(mine.with_for_update())
    if study is None:
        raise problems.StudyNotFound
    if study.legal_hold != held:
        study.legal_hold = held
        await session.flush()
        await audit.record(session, who, "study.hold" if held else "study.release", study_id=study_id)
    return await show_study(session, study_id)


async def _unlink_uploads(session: AsyncSession, study: Study) -> None:
    """Take the study out of its uploads; one that brought nothing else loses its reference. The sweep looks again."""
    mine = UploadFile.study_id == study.id, UploadFile.facility_id == study.facility_id
    upload_ids = list(await session.scalars(select(UploadFile.upload_id).where(*mine).distinct()))
    await session.execute(update(UploadFile).where(*mine).values(study_id=None, report=None))
    ours = Upload.id.in_(upload_ids), Upload.facility_id == study.facility_id
    for upload in await session.scalars(select(Upload).where(*ours).order_by(Upload.id).with_for_update()):
        upload.studies = [one for one in upload.studies if one["study_id"] != str(study.id)]
        upload.swept_at = None
    others = select(UploadFile.upload_id).where(UploadFile.upload_id.in_(upload_ids), UploadFile.study_id.is_not(None))
    alone = update(Upload).where(*ours, Upload.id.not_in(others))
    await session.execute(alone.values(sealed_reference=None))


async def _forget_events(session: AsyncSession, erasure: Erasure) -> None:
    """Take the study out of what was told of it; what isn't sent yet goes out as it is, and is its turn later."""
    assert erasure.events_key
    if await outbox.forget(session, erasure.study_id, erasure.events_key):
        mine = Erasure.study_id == erasure.study_id, Erasure.facility_id == erasure.facility_id
        await session.execute(update(Erasure).where(*mine).values(events_key=None))


async def finish(ingest: Ingest) -> None:
    """Bring every open erasure one step further, in any order: one that fails holds up no other."""
    due = Erasure.emptied_at.is_(None) | (Erasure.requested_at < func.clock_timestamp() - LATE)
    query = select(Erasure).where(Erasure.done_at.is_(None), due).order_by(func.random()).limit(AT_ONCE)
    told = select(Erasure).where(Erasure.events_key.is_not(None)).order_by(func.random()).limit(AT_ONCE)
    async with ingest.db.system() as session:
        erasures, unforgotten = list(await session.scalars(query)), list(await session.scalars(told))
    for erasure in unforgotten:
        async with ingest.db.system() as session:
            await _forget_events(session, erasure)
    for erasure in erasures:
        await empty(ingest, erasure)
    if ingest.settings.storage_vacuum_url:
        await _reclaim(ingest)


async def empty(ingest: Ingest, erasure: Erasure) -> None:
    """Remove every object of an erased study; while the store is away it is simply not done yet."""
    try:
        prefix = objects.study_prefix(erasure.facility_id, erasure.study_id)
        removed = await ingest.storage.erase("studies", prefix)
    except StorageUnavailable as error:
        log.warning("not erased yet", study=str(erasure.study_id), error=repr(error))
        return
    log.info("erased", study=str(erasure.study_id), objects=removed)
    clock = func.clock_timestamp()
    over = case((Erasure.requested_at < clock - LATE, clock))
    values: dict[str, Any] = {"emptied_at": func.coalesce(Erasure.emptied_at, clock), "done_at": over}
    if removed:
        values |= {"emptied_at": clock, "reclaimed_at": None}
    async with ingest.db.system() as session:
        await session.execute(update(Erasure).where(Erasure.study_id == erasure.study_id).values(values))


async def _reclaim(ingest: Ingest) -> None:
    """Have the store free the bytes of what was removed a moment ago; once for all that wait."""
    waiting = Erasure.reclaimed_at.is_(None), Erasure.emptied_at < func.clock_timestamp() - LAZILY
    async with ingest.db.system() as session:
        newest = await session.scalar(select(func.max(Erasure.emptied_at)).where(*waiting))
    if newest is None:
        return
    async with httpx.AsyncClient(timeout=VACUUM_S) as client:
        try:
            (await client.get(ingest.settings.storage_vacuum_url)).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("bytes of removed objects not reclaimed yet", error=repr(error))
            return
    freed = Erasure.reclaimed_at.is_(None), Erasure.emptied_at <= newest
    async with ingest.db.system() as session:
        await session.execute(update(Erasure).where(*freed).values(reclaimed_at=func.clock_timestamp()))
