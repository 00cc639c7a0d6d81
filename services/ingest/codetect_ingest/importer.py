"""The importer: an upload's frozen files become studies. The way: intake, sorting out, assembly, filing, tidying."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog
from codetect_shared import bus, outbox
from codetect_shared.db import Database
from codetect_shared.events import UploadRefused
from codetect_shared.jobs import JobRow, Jobs
from codetect_shared.problems import Problem
from codetect_shared.storage import Storage, StorageUnavailable
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects, rows
from codetect_ingest.ahead import Shelf
from codetect_ingest.assembly import Assembler, NewStudy, remove, sort_out, used_packs, waiting_packs
from codetect_ingest.children import Children
from codetect_ingest.correcting import Corrections, Said
from codetect_ingest.filing import StudyMoved
from codetect_ingest.identities import Sealer, sealer_of, settings_of
from codetect_ingest.intake import IN_HAND_PER_CHILD, Hand, Intake, Posted, Reader
from codetect_ingest.kept import file_kept, write_kept
from codetect_ingest.models import ASSEMBLIES, UPLOADS, Study, Upload, UploadFile
from codetect_ingest.packs import Found, Kept
from codetect_ingest.quota import FULL, code_of, must_fit
from codetect_ingest.scratch import scratch_folder
from codetect_ingest.settings import Settings

log = structlog.get_logger()
AWAY_S = 5.0
IMPORT_FAILED = "import_failed"
GROWTH = 4096  # by so many bytes a file may grow as names are taken off and pseudonyms put in
T = TypeVar("T", bound=JobRow)


class Importer:
    """Imports one upload after the other, and assembles studies that came without `complete`."""

    def __init__(
        self, settings: Settings, db: Database, storage: Storage, children: Children, shelf: Shelf | None = None
    ) -> None:
        self._settings, self._db, self._storage, self._children = settings, db, storage, children
        self._shelf = shelf or Shelf()

    async def run(self, job: Upload) -> None:
        """Import and settle; while the object store is away, the upload waits and loses no attempt."""
        await self._attempt(UPLOADS, job, self._import)

    async def assemble(self, job: Study) -> None:
        """Make a new version of a study of what came for it and waits; likewise."""
        await self._attempt(ASSEMBLIES, job, self._assemble)

    async def _attempt(self, jobs: Jobs[T], job: T, work: Callable[[T, Path], Awaitable[None]]) -> None:
        try:
            with scratch_folder() as scratch:
                await work(job, scratch)
        except* StorageUnavailable as away:
            log.warning("the object store is away: the job waits", error=repr(away.exceptions[0]))
            async with self._db.system() as session:
                await jobs.postpone(session, job, AWAY_S, spent=False)

    async def _import(self, job: Upload, scratch: Path) -> None:
        async with self._db.facility(job.facility_id) as session:
            sealer = await sealer_of(session, job.facility_id, self._settings.master_key)
            query = select(UploadFile).where(UploadFile.upload_id == job.id).order_by(UploadFile.number)
            files = [Posted(file.number, file.etag, file.size) for file in await session.scalars(query)]
        early = self._shelf.take(job.id)
        usable = early if early and early.holds(sealer, files) else None
        reader = usable.reader if usable else Reader(self._children, sealer, scratch)
        hand = Hand(self._storage, reader, job, scratch)
        await Intake(self._db, hand, IN_HAND_PER_CHILD * self._children.size).read(files)
        refused = reader.refused | sort_out(reader.found)
        staying = {number: frames for number, frames in reader.found.items() if number not in refused}
        packed = usable.packer.packs if usable else []
        assembler = Assembler(self._storage, scratch, job.facility_id, job.id, job.fence, packed)
        kept = [one for number, one in reader.kept.items() if number in refused]
        fence = job.fence
        try:
            while (filed := await self._file(job, assembler, staying, kept, refused, sealer)) is None:
                log.info("something else came to the same study, or a new key, meanwhile; joining with it")
        except FULL as full:
            await self._refuse(job, full)
            filed, fence = [], job.fence + 1
        named = {frames[0].instance.study_instance_uid for frames in reader.found.values()}
        named |= {one.other.study_instance_uid for one in kept}
        await self._tidy(job, [file.number for file in files], filed, named, fence)
        if early:
            await early.packer.drop(keeping=used_packs(filed))

    async def _file(
        self,
        job: Upload,
        assembler: Assembler,
        staying: Mapping[int, list[Found]],
        kept: list[Kept],
        refused: filing.Refusals,
        sealer: Sealer,
    ) -> list[NewStudy] | None:
        """Join with what is known, write objects, commit; return what was filed, or None when the known moved on.

        Raises StorageQuotaReached and StudyQuotaReached.
        """
        async with self._db.facility(job.facility_id) as session:
            sealer = await sealer.renewed(session)
            flat = [one.instance for frames in staying.values() for one in frames]
            named: list[rows.Named] = [*flat, *(one.other for one in kept)]
            known = await filing.reserve_studies(session, job.facility_id, named, whole=True)
        studies, unfit = await assembler.assemble(staying, known)
        written = await write_kept(self._storage, sealer, (job.facility_id, job.id, job.fence), kept, known)

        async def keep(session: AsyncSession) -> dict[int, filing.Outcome]:
            return await file_kept(session, job.facility_id, job.id, written, present, corrections)

        try:
            async with self._db.facility(job.facility_id) as session:
                present = await sealer.renewed(session)
                corrections = Corrections(present, [*_said(studies), *(one.said for one in written)])
                await filing.file_upload(session, job, studies, {**refused, **unfit}, present, keep, corrections)
                admitted = job.stored_bytes + job.files_total * GROWTH
                await must_fit(session, self._settings, job.facility_id, admitted_bytes=admitted)
        except StudyMoved:
            return None
        return studies

    async def _refuse(self, job: Upload, full: Problem) -> None:
        """End an upload that is too much for its facility: nothing of it is kept."""
        code = code_of(full)
        async with self._db.facility(job.facility_id) as session:
            upload = await UPLOADS.settle(session, job)
            filing.refuse(upload, code, str(full))
            await outbox.tell(session, upload, UploadRefused(upload_id=upload.id, code=code))

    async def _assemble(self, job: Study, scratch: Path) -> None:
        async with self._db.facility(job.facility_id) as session:
            sealer = await sealer_of(session, job.facility_id, self._settings.master_key)
            quiet_s = (await settings_of(session, job.facility_id)).quiet_s
            new = NewStudy(await filing.waiting_study(session, job))
        assembler = Assembler(self._storage, scratch, job.facility_id, job.id, job.fence)
        for uid in new.known.series:
            series = await assembler.series(new.known, uid, [])
            new.series += [series] if series else []
        try:
            async with self._db.facility(job.facility_id) as session:
                await filing.file_assembly(session, job, new, await sealer.renewed(session))
        except StudyMoved:
            log.info("more slices came meanwhile; the study waits until it is quiet")
            async with self._db.system() as session:
                await ASSEMBLIES.postpone(session, job, quiet_s, spent=False)
            return
        await remove(self._storage, "studies", waiting_packs(new.known))

    async def _tidy(self, job: Upload, posted: list[int], filed: list[NewStudy], named: set[str], fence: int) -> None:
        """After the commit: remove the originals, packs that nobody waits in, and what attempts before `fence` wrote.

        `named` are the UIDs of all studies that files named, of those that were refused, too.
        """
        await remove(self._storage, "raw", [objects.raw_key(job.facility_id, job.id, n) for n in posted])
        for study in filed:
            await remove(self._storage, "studies", waiting_packs(study.known) - study.still_waiting)
        used = used_packs(filed)
        for study_id in await self._ids_of(job.facility_id, named):
            await remove(self._storage, "studies", await self._outdated(job, study_id, fence) - used)

    async def _ids_of(self, facility_id: UUID, uids: set[str]) -> list[UUID]:
        here = Study.facility_id == facility_id, Study.study_instance_uid.in_(uids)
        try:
            async with self._db.facility(facility_id) as session:
                return list(await session.scalars(select(Study.id).where(*here)))
        except bus.TRANSIENT as error:
            log.warning("not tidied up", error=repr(error))
            return []

    async def _outdated(self, job: Upload, study_id: UUID, before: int) -> set[str]:
        """List what was written into a study for this upload by attempts before that one."""
        try:
            there = await self._storage.list("studies", objects.study_prefix(job.facility_id, study_id))
        except StorageUnavailable:
            return set()
        attempts = {one.key: objects.attempt_of(one.key) for one in there}
        return {key for key, (of, fence) in attempts.items() if of == str(job.id) and fence < before}


def _said(studies: Iterable[NewStudy]) -> Iterator[Said]:
    for study in studies:
        for series in study.series:
            for new in (one.new for one in series.slices if one.new):
                yield Said(new.number, study.id, series.facts.series_id, new.instance, new.identity)


async def give_up_assembly(session: AsyncSession, study: Study, error: Exception | None) -> None:
    """After the last attempt: the slices stay as they came, and the next that comes makes the study due again."""
    log.error("a study could not be assembled", study=str(study.id), error=repr(error))


async def give_up(session: AsyncSession, upload: Upload, error: Exception | None) -> None:
    """After the last attempt: say so. The originals stay for the operator until the bucket's rule removes them."""
    filing.refuse(
        upload, IMPORT_FAILED, "The import failed again and again. Send the study once more, or ask the operator."
    )
    await outbox.tell(session, upload, UploadRefused(upload_id=upload.id, code=IMPORT_FAILED))
