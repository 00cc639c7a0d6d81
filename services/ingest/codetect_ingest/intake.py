"""Reading files: bytes to child to scratch folder; and an upload's frozen files, several in hand, outcomes shown."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage
from codetect_shared.threads import in_thread
from prometheus_client import Counter

from codetect_ingest import filing, objects
from codetect_ingest.children import Children, Source, size_of
from codetect_ingest.dicom.instance import PreparedSlice
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.filing import Outcome
from codetect_ingest.identities import Sealer
from codetect_ingest.kept import SCRATCH, scratch_owner
from codetect_ingest.models import FileState, Upload
from codetect_ingest.packs import Found, Kept
from codetect_ingest.scratch import nameless_file

log = structlog.get_logger()
SHOW_S = 0.5
IN_HAND_PER_CHILD = 3
KEPT_BYTES = 64 * 2**20  # of a file that isn't analysed: it is sealed in one piece, in memory
FILES = Counter("codetect_ingest_files_total", "Files read, by outcome.", ["outcome"])


class Reader:
    """Reads one file after the other into a scratch folder: `found`, `refused` and, of those, `kept` by number."""

    def __init__(self, children: Children, sealer: Sealer, scratch: Path) -> None:
        self._children, self._sealer, self._scratch = children, sealer, scratch
        self._turns = asyncio.Semaphore(children.size)
        self.found: dict[int, list[Found]] = {}
        self.refused: dict[int, Refused] = {}
        self.kept: dict[int, Kept] = {}

    async def read(self, number: int, source: Source) -> Outcome:
        """Read a file; what it holds costs its own outcome only. Raises OSError of the scratch folder."""
        async with self._turns:
            try:
                self.found[number] = await in_thread(self._prepare, number, source)
                outcome = Outcome(FileState.ACCEPTED)
            except Refused as refused:
                outcome = self.refuse(number, refused)
                if refused.other and self._sealer.keeps_others and size_of(source) <= KEPT_BYTES:
                    self.kept[number] = await in_thread(self._keep, number, source, refused, refused.other)
        FILES.labels(outcome.code or "accepted").inc()
        return outcome

    def refuse(self, number: int, why: Refused) -> Outcome:
        """Enter a file as refused."""
        self.refused[number] = why
        return Outcome.of(why)

    @property
    def outcomes(self) -> dict[int, Outcome]:
        """What became of every file so far."""
        accepted = dict.fromkeys(self.found, Outcome(FileState.ACCEPTED))
        return accepted | {number: Outcome.of(why) for number, why in self.refused.items()}

    def forget(self, number: int) -> None:
        """Take a file for one that wasn't read."""
        for read in (self.found, self.refused, self.kept):
            read.pop(number, None)

    def _prepare(self, number: int, source: Source) -> list[Found]:
        return self._children.prepare(source, self._sealer.key.pseudonyms, lambda slices: self._take(number, slices))

    def _take(self, number: int, slices: Iterator[PreparedSlice]) -> list[Found]:
        """Write each slice as it comes; nothing stays of a file that is refused after some of them."""
        found: list[Found] = []
        try:
            for frame, one in enumerate(slices):
                clean, chunk = (path(self._scratch, number, frame) for path in (objects.clean_path, objects.chunk_path))
                clean.write_bytes(one.clean)
                chunk.write_bytes(one.hu)
                facts = one.instance, one.identity, one.attributes, one.report, one.header
                found.append(Found(number, frame, *facts, clean, chunk))
        except Refused:
            for written in found:
                written.clean.unlink()
                written.chunk.unlink()
            raise
        return found

    def _keep(self, number: int, source: Source, why: Refused, other: Other) -> Kept:
        data = source if isinstance(source, bytes) else source.read_bytes()
        sealed = self._scratch / f"{number:06}.sealed"
        sealed.write_bytes(SCRATCH.seal_bytes(data, scratch_owner(number)))
        return Kept(number, why, other, sealed)


@dataclass(frozen=True)
class Posted:
    """A file that lies in the raw bucket, by its number; size in bytes."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True)
class Hand:
    """Takes an upload's posted files from the object store to a reader; large ones lie on its disk meanwhile."""

    storage: Storage
    reader: Reader
    upload: Upload
    scratch: Path

    async def read(self, file: Posted) -> Outcome:
        """Read a file. Raises ObjectMissing, StorageUnavailable, OSError."""
        key = objects.raw_key(self.upload.facility_id, self.upload.id, file.number)
        if file.size <= LARGE:
            return await self.reader.read(file.number, await self.storage.get("raw", key, etag=file.etag))
        with nameless_file(self.scratch) as path:
            await self.storage.get_file("raw", key, path, etag=file.etag)
            return await self.reader.read(file.number, path)


class Intake:
    """One upload's frozen files, but for those that its reader has read already, on their way through a hand."""

    def __init__(self, db: Database, hand: Hand, in_hand: int) -> None:
        self._db, self._hand, self._in_hand = db, hand, in_hand
        self._room = asyncio.Lock()  # for large files: one of them lies in the scratch folder at a time
        self._unshown = hand.reader.outcomes

    async def read(self, files: Iterable[Posted]) -> None:
        """Read every file. Raises StorageUnavailable, OSError."""
        read = set(self._unshown)
        waiting = (file for file in files if file.number not in read)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show(done := asyncio.Event()))
            async with asyncio.TaskGroup() as hands:
                for _ in range(self._in_hand):
                    hands.create_task(self._read_some(waiting))
            done.set()

    async def _read_some(self, waiting: Iterator[Posted]) -> None:
        for file in waiting:
            async with self._room if file.size > LARGE else contextlib.nullcontext():
                try:
                    outcome = await self._hand.read(file)
                except ObjectMissing:
                    outcome = self._hand.reader.refuse(file.number, Refused(Refusal.GONE))
                self._unshown[file.number] = outcome

    async def _show(self, done: asyncio.Event) -> None:
        """Now and then, write down what has become of files: people watch."""
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SHOW_S):
                    await done.wait()
                    return
            outcomes, self._unshown = self._unshown, {}
            reader, upload = self._hand.reader, self._hand.upload
            try:
                async with self._db.facility(upload.facility_id) as session:
                    await filing.record_progress(session, upload, outcomes, len(reader.found) + len(reader.refused))
            except bus.TRANSIENT as error:
                log.warning("progress not shown", error=repr(error))
