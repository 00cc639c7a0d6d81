"""Reading an upload's frozen files: store to child to store, several in hand, outcomes shown as they come."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage
from prometheus_client import Counter

from codetect_ingest import filing, objects
from codetect_ingest.children import Children
from codetect_ingest.dicom.instance import Instance, Prepared
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.filing import Outcome
from codetect_ingest.models import FileState, Upload, UploadFile

log = structlog.get_logger()
SHOW_S = 0.5
IN_HAND_PER_CHILD = 3
FILES = Counter("codetect_ingest_files_total", "Files read, by outcome.", ["outcome"])


class Intake:
    """One upload's files: `found` by number, `refused` by number."""

    def __init__(self, db: Database, storage: Storage, children: Children, upload: Upload, key: bytes) -> None:
        self._db, self._storage, self._children, self._upload, self._key = db, storage, children, upload, key
        self._turns = asyncio.Semaphore(children.size)
        self._unshown: dict[int, Outcome] = {}
        self.found: dict[int, Instance] = {}
        self.refused: dict[int, Refused] = {}

    async def read(self, files: list[UploadFile], scratch: Path) -> None:
        """Read every file; what a file holds costs its own outcome only. Raises StorageUnavailable, OSError."""
        waiting = iter(files)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show(done := asyncio.Event()))
            async with asyncio.TaskGroup() as hands:
                for _ in range(IN_HAND_PER_CHILD * self._children.size):
                    hands.create_task(self._read_some(waiting, scratch))
            done.set()

    async def _read_some(self, waiting: Iterator[UploadFile], scratch: Path) -> None:
        for file in waiting:
            try:
                self.found[file.number] = await self._read_one(file, scratch)
                outcome = Outcome(FileState.ACCEPTED)
            except Refused as refused:
                self.refused[file.number] = refused
                outcome = Outcome.of(refused)
            self._unshown[file.number] = outcome
            FILES.labels(outcome.code or "accepted").inc()

    async def _read_one(self, file: UploadFile, scratch: Path) -> Instance:
        facility_id, upload_id = self._upload.facility_id, self._upload.id
        try:
            data = await self._storage.get("raw", objects.raw_key(facility_id, upload_id, file.number), etag=file.etag)
        except ObjectMissing:
            raise Refused(Refusal.GONE) from None
        async with self._turns:
            prepared = await asyncio.to_thread(self._prepare, data, objects.chunk_path(scratch, file.number))
        clean = objects.clean_key(facility_id, upload_id, file.number)
        await self._storage.put("studies", clean, prepared.clean, "application/dicom")
        return prepared.instance

    def _prepare(self, data: bytes, chunk: Path) -> Prepared:
        prepared = self._children.prepare(data, self._key)
        chunk.write_bytes(prepared.hu)
        return prepared

    async def _show(self, done: asyncio.Event) -> None:
        """Now and then, write down what has become of files: people watch."""
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHOW_S):
                    await done.wait()
                    return
            outcomes, self._unshown = self._unshown, {}
            read = len(self.found) + len(self.refused)
            try:
                async with self._db.facility(self._upload.facility_id) as session:
                    await filing.record_progress(session, self._upload, outcomes, read)
            except bus.TRANSIENT as error:
                log.warning("progress not shown", error=repr(error))
