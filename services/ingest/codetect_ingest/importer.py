"""The importer: an upload's frozen files become studies. The way: intake, sorting out, assembly, filing, tidying."""

import os
import shutil
import tempfile
from pathlib import Path

import structlog
from codetect_shared import outbox
from codetect_shared.db import Database
from codetect_shared.events import UploadRefused
from codetect_shared.storage import Storage, StorageUnavailable
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects
from codetect_ingest.assembly import Assembler, sort_out
from codetect_ingest.children import Children
from codetect_ingest.filing import StudyMoved
from codetect_ingest.intake import Intake
from codetect_ingest.keys import facility_key
from codetect_ingest.models import UPLOADS, Upload, UploadFile
from codetect_ingest.settings import Settings

log = structlog.get_logger()
AWAY_S = 5.0
IMPORT_FAILED = "import_failed"
SCRATCH = "codetect-import-"


class Importer:
    """Imports one upload after the other."""

    def __init__(self, settings: Settings, db: Database, storage: Storage, children: Children) -> None:
        self._settings, self._db, self._storage, self._children = settings, db, storage, children

    async def run(self, job: Upload) -> None:
        """Import and settle; while the object store is away or the disk full, the upload waits and loses no attempt."""
        try:
            with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True) as scratch:
                await self._import(job, Path(scratch))
        except* OSError as away:
            log.warning("what the import needs is away: the upload waits", error=repr(away.exceptions[0]))
            async with self._db.system() as session:
                await UPLOADS.postpone(session, job, AWAY_S, spent=False)

    async def _import(self, job: Upload, scratch: Path) -> None:
        async with self._db.facility(job.facility_id) as session:
            key = await facility_key(session, job.facility_id, self._settings.master_key)
            query = select(UploadFile).where(UploadFile.upload_id == job.id).order_by(UploadFile.number)
            files = list(await session.scalars(query))
        intake = Intake(self._db, self._storage, self._children, job, key.pseudonyms)
        await intake.read(files, scratch)
        refused = intake.refused | sort_out(intake.found)
        while (unfit := await self._file(job, intake, refused, scratch)) is None:
            log.info("another upload brought the same study meanwhile; joining them")
        await self._tidy(job, [file.number for file in files], [n for n in intake.found if n in refused or n in unfit])

    async def _file(
        self, job: Upload, intake: Intake, refused: filing.Refusals, scratch: Path
    ) -> filing.Refusals | None:
        """Join with what is known, write volumes, commit; return what didn't fit, or None when the known moved on."""
        staying = {number: one for number, one in intake.found.items() if number not in refused}
        async with self._db.facility(job.facility_id) as session:
            known = await filing.known_studies(session, staying.values())
        studies, unfit = await Assembler(self._storage, job, scratch).assemble(staying, known)
        try:
            async with self._db.facility(job.facility_id) as session:
                await filing.file_upload(session, job, studies, {**refused, **unfit})
        except StudyMoved:
            return None
        return unfit

    async def _tidy(self, job: Upload, posted: list[int], dropped: list[int]) -> None:
        """After the commit: remove the originals, and clean files that weren't kept. What fails here is the sweep's."""
        try:
            await self._storage.remove("raw", [objects.raw_key(job.facility_id, job.id, n) for n in posted])
            await self._storage.remove("studies", [objects.clean_key(job.facility_id, job.id, n) for n in dropped])
        except StorageUnavailable as error:
            log.warning("originals not removed yet", error=repr(error))


def forget_scratch() -> None:
    """Remove the scratch folders of importers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*-*"):
        if not Path("/proc", folder.name.removeprefix(SCRATCH).partition("-")[0]).exists():
            shutil.rmtree(folder, ignore_errors=True)


async def give_up(session: AsyncSession, upload: Upload, error: Exception | None) -> None:
    """After the last attempt: say so. The originals stay for the operator until the bucket's rule removes them."""
    filing.refuse(
        upload, IMPORT_FAILED, "The import failed again and again. Send the study once more, or ask the operator."
    )
    await outbox.tell(session, upload, UploadRefused(upload_id=upload.id, code=IMPORT_FAILED))
