"""What uploads leave behind: those nobody completed expire, and what is posted late is removed."""

from datetime import timedelta

import structlog
from codetect_shared import outbox
from codetect_shared.events import UploadExpired
from sqlalchemy import or_, select, update

from codetect_ingest import objects
from codetect_ingest.importer import IMPORT_FAILED
from codetect_ingest.models import State, Upload, now
from codetect_ingest.service import Ingest

log = structlog.get_logger()
AT_ONCE = 100
GRACE = timedelta(minutes=1)


async def sweep(ingest: Ingest) -> None:
    """Expire open uploads, then empty the prefixes of those that have ended and that nothing can be posted to."""
    await _expire(ingest)
    await _empty(ingest)


async def _expire(ingest: Ingest) -> None:
    forgotten = now() - timedelta(hours=ingest.settings.upload_hours)
    query = select(Upload).where(Upload.state == State.OPEN, Upload.expires_at < forgotten)
    async with ingest.db.system() as session:
        for upload in await session.scalars(query.limit(AT_ONCE).with_for_update(skip_locked=True)):
            upload.move(State.EXPIRED)
            upload.finished_at = now()
            await outbox.tell(session, upload, UploadExpired(upload_id=upload.id))


async def _empty(ingest: Ingest) -> None:
    """A policy can't be revoked, so a prefix is emptied once its policy is over; a failed import keeps its files."""
    ended = Upload.state.in_([State.DONE, State.EXPIRED, State.REFUSED])
    kept = or_(Upload.error_code.is_(None), Upload.error_code != IMPORT_FAILED)
    query = select(Upload).where(ended, kept, Upload.swept_at.is_(None), Upload.expires_at < now() - GRACE)
    async with ingest.db.system() as session:
        uploads = list(await session.scalars(query.limit(AT_ONCE)))
    for upload in uploads:
        late = await ingest.storage.list("raw", objects.raw_prefix(upload.facility_id, upload.id))
        if late:
            log.info("swept", upload=str(upload.id), files=len(late))
            await ingest.storage.remove("raw", [file.key for file in late])
        async with ingest.db.system() as session:
            await session.execute(update(Upload).where(Upload.id == upload.id).values(swept_at=now()))
