"""Reading files: bytes to child to scratch folder; and an upload's frozen files, several in hand, outcomes shown."""

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
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.filing import Outcome
from codetect_ingest.identities import Sealer
from codetect_ingest.kept import scratch_owner
from codetect_ingest.models import FileState, Upload, UploadFile
from codetect_ingest.packs import Found, Kept

log = structlog.get_logger()
SHOW_S = 0.5
IN_HAND_PER_CHILD = 3
FILES = Counter("codetect_ingest_files_total", "Files read, by outcome.", ["outcome"])


class Reader:
    """Reads one file after the other into a scratch folder: `found`, `refused` and, of those, `kept` by number."""

    def __init__(self, children: Children, sealer: Sealer, scratch: Path) -> None:
        self._children, self._sealer, self._scratch = children, sealer, scratch
        self._turns = asyncio.Semaphore(children.size)
        self.found: dict[int, list[Found]] = {}
        self.refused: dict[int, Refused] = {}
        self.kept: dict[int, Kept] = {}

    async def read(self, number: int, data: bytes) -> Outcome:
        """Read a file; what it holds costs its own outcome only. Raises OSError of the scratch folder."""
        async with self._turns:
            try:
                self.found[number] = await asyncio.to_thread(self._prepare, number, data)
                outcome = Outcome(FileState.ACCEPTED)
            except Refused as refused:
                outcome = self.refuse(number, refused)
                if refused.other and self._sealer.keeps_others:
                    self.kept[number] = await asyncio.to_thread(self._keep, number, data, refused, refused.other)
        FILES.labels(outcome.code or "accepted").inc()
        return outcome

    def refuse(self, number: int, why: Refused) -> Outcome:
        """Enter a file as refused."""
        self.refused[number] = why
        return Outcome.of(why)

    def _prepare(self, number: int, data: bytes) -> list[Found]:
        found = []
        for frame, one in enumerate(self._children.prepare(data, self._sealer.key.pseudonyms).slices):
            clean, chunk = (path(self._scratch, number, frame) for path in (objects.clean_path, objects.chunk_path))
            clean.write_bytes(one.clean)
            chunk.write_bytes(one.hu)
            found.append(
                Found(number, frame, one.instance, one.identity, one.attributes, one.report, one.header, clean, chunk)
            )
        return found

    def _keep(self, number: int, data: bytes, why: Refused, other: Other) -> Kept:
        sealed = self._scratch / f"{number:06}.sealed"
        sealed.write_bytes(self._sealer.key.seal_bytes(data, scratch_owner(number)))
        return Kept(number, why, other, sealed)


class Intake:
    """One upload's frozen files on their way through a reader."""

    def __init__(self, db: Database, storage: Storage, reader: Reader, upload: Upload, in_hand: int) -> None:
        self._db, self._storage, self._reader, self._upload = db, storage, reader, upload
        self._in_hand = in_hand
        self._unshown: dict[int, Outcome] = {}

    async def read(self, files: list[UploadFile]) -> None:
        """Read every file. Raises StorageUnavailable, OSError."""
        waiting = iter(files)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show(done := asyncio.Event()))
            async with asyncio.TaskGroup() as hands:
                for _ in range(self._in_hand):
                    hands.create_task(self._read_some(waiting))
            done.set()

    async def _read_some(self, waiting: Iterator[UploadFile]) -> None:
        for file in waiting:
            key = objects.raw_key(self._upload.facility_id, self._upload.id, file.number)
            try:
                data = await self._storage.get("raw", key, etag=file.etag)
            except ObjectMissing:
                self._unshown[file.number] = self._reader.refuse(file.number, Refused(Refusal.GONE))
                continue
            self._unshown[file.number] = await self._reader.read(file.number, data)

    async def _show(self, done: asyncio.Event) -> None:
        """Now and then, write down what has become of files: people watch."""
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHOW_S):
                    await done.wait()
                    return
            outcomes, self._unshown = self._unshown, {}
            read = len(self._reader.found) + len(self._reader.refused)
            try:
                async with self._db.facility(self._upload.facility_id) as session:
                    await filing.record_progress(session, self._upload, outcomes, read)
            except bus.TRANSIENT as error:
                log.warning("progress not shown", error=repr(error))
