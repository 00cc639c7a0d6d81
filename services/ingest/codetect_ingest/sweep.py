"""What uploads leave behind: those nobody completed expire, what is posted late is removed, and empty studies go."""

from datetime import timedelta

import structlog
from codetect_shared import outbox
from codetect_shared.events import UploadExpired
from codetect_shared.storage import StorageUnavailable
from sqlalchemy import and_, delete, func, or_, select, update

from codetect_ingest import objects
from codetect_ingest.importer import IMPORT_FAILED
from codetect_ingest.models import Erasure, Series, State, Study, Upload, now
from codetect_ingest.service import Ingest

log = structlog.get_logger()
AT_ONCE = 100
GRACE = timedelta(minutes=1)
RESERVED = timedelta(days=1)


async def sweep(ingest: Ingest) -> None:
    """Expire open uploads, empty the prefixes that nothing can be posted to, drop studies that came to naught."""
    await _expire(ingest)
    await _empty(ingest)
    await _drop_empty_studies(ingest)


async def _expire(ingest: Ingest) -> None:
    """Give up what nobody renewed for long, and, as soon as its time is over, what there was no room for."""
    forgotten = now() - timedelta(hours=ingest.settings.upload_hours)
    without_room = and_(Upload.error_code.is_not(None), Upload.expires_at < now())
    over = or_(Upload.expires_at < forgotten, without_room)
    query = select(Upload).where(Upload.state == State.OPEN, over)
    async with ingest.db.system() as session:
        for upload in await session.scalars(query.limit(AT_ONCE).with_for_update(skip_locked=True)):
            upload.move(State.EXPIRED)
            upload.finished_at = now()
            await outbox.tell(session, upload, UploadExpired(upload_id=upload.id))


async def _empty(ingest: Ingest) -> None:
    """A policy can't be revoked, so a prefix is emptied once its policy is over; a failed import keeps its files.

    In any order: prefixes that can't be emptied hold up no others.
    """
    ended = Upload.state.in_([State.DONE, State.EXPIRED, State.REFUSED])
    kept = or_(Upload.error_code.is_(None), Upload.error_code != IMPORT_FAILED)
    query = select(Upload).where(ended, kept, Upload.swept_at.is_(None), Upload.expires_at < now() - GRACE)
    async with ingest.db.system() as session:
        uploads = list(await session.scalars(query.order_by(func.random()).limit(AT_ONCE)))
    for upload in uploads:
        try:
            late = await ingest.storage.erase("raw", objects.raw_prefix(upload.facility_id, upload.id))
        except StorageUnavailable as error:
            log.warning("not swept yet", upload=str(upload.id), error=repr(error))
            continue
        if late:
            log.info("swept", upload=str(upload.id), files=late)
        async with ingest.db.system() as session:
            await session.execute(update(Upload).where(Upload.id == upload.id).values(swept_at=now()))


async def _drop_empty_studies(ingest: Ingest) -> None:
    """An id that was reserved for an import that failed; what it wrote goes the way of an erased study's objects."""
    old = Study.created_at < func.clock_timestamp() - RESERVED
    used = select(Series.id).where(Series.study_id == Study.id).exists()
    query = select(Study).where(Study.version == 0, Study.instances == 0, old, ~used)
    async with ingest.db.system() as session:
        for study in await session.scalars(query.limit(AT_ONCE).with_for_update(skip_locked=True)):
            session.add(Erasure(study_id=study.id, facility_id=study.facility_id))
            await session.flush()
            await session.execute(delete(Study).where(Study.id == study.id))
