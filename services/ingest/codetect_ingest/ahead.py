"""Reading ahead: files of an open upload are read as they arrive, so that less is left once it is completed.

All that comes of it lies in a scratch folder, and in packs that no row names, until the upload is ours to import; what
was read of files that were frozen otherwise is forgotten. ADR 107 has the reasons.
"""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from codetect_shared import bus, topology
from codetect_shared.db import Database
from codetect_shared.jobs import Worker
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from sqlalchemy import func, or_, select

from codetect_ingest import objects
from codetect_ingest.children import Children
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.identities import Sealer, sealer_of
from codetect_ingest.intake import Hand, Posted, Reader
from codetect_ingest.models import UPLOADS, State, Upload
from codetect_ingest.packing import Packer
from codetect_ingest.scratch import scratch_folder
from codetect_ingest.settings import Settings

log = structlog.get_logger()
LOOK_S = 0.03  # between looks at whether the upload has been completed
LIST_S = 0.2  # between looks at what has been posted
RENEW_S = UPLOADS.lease_s / 3
PATIENCE_S = 20.0  # with a client that posts nothing more
MOST_FILES = 20_000
MOST_S = 20 * 60.0  # the broker takes a message back that isn't acknowledged within half an hour
OPEN = Upload.state == State.OPEN
FREE = or_(Upload.lease_until.is_(None), Upload.lease_until < func.clock_timestamp())


@dataclass(frozen=True)
class Early:
    """What was read of an upload: by whose key, which version of each file, and what of it is packed already."""

    reader: Reader
    sealer: Sealer
    packer: Packer
    etags: dict[int, str] = field(default_factory=dict)

    def holds(self, sealer: Sealer, frozen: Iterable[Posted]) -> bool:
        """Forget what isn't as it was frozen; tell whether the rest can be used under this key."""
        etags = {file.number: file.etag for file in frozen}
        for number in [number for number, etag in self.etags.items() if etags.get(number) != etag]:
            self.reader.forget(number)
        mine, now = self.sealer, sealer
        return (mine.key.pseudonyms, mine.keeps_others) == (now.key.pseudonyms, now.keeps_others)


class Shelf:
    """What was read ahead in this process, by upload."""

    def __init__(self) -> None:
        self._early: dict[UUID, Early] = {}

    @contextlib.contextmanager
    def keeping(self, upload_id: UUID, early: Early) -> Iterator[None]:
        """Offer it inside the block."""
        self._early[upload_id] = early
        try:
            yield
        finally:
            self._early.pop(upload_id, None)

    def take(self, upload_id: UUID) -> Early | None:
        """Return what was read of an upload, once."""
        return self._early.pop(upload_id, None)


class Following:
    """One open upload on its way: what is posted is read, as long as no job is in hand that somebody waits for."""

    def __init__(self, settings: Settings, db: Database, hand: Hand, early: Early, worker: Worker[Upload]) -> None:
        self._settings, self._db, self._hand, self._early, self._worker = settings, db, hand, early, worker
        self._over = asyncio.Event()
        self._news = self._renewed = self._began = time.monotonic()
        self._bytes = 0

    async def until_completed(self, hands: int) -> bool:
        """Read with so many hands; False where the upload is still open when we stop. Raises OSError and others."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(hands))
            try:
                while is_open := await self._is_open():
                    late = self._news + PATIENCE_S, self._began + MOST_S
                    if self._worker.stopping or time.monotonic() > min(late):
                        break
                    await asyncio.sleep(LOOK_S)
            finally:
                self._over.set()
        return not is_open

    async def _is_open(self) -> bool:
        """Look, and now and then renew the lease."""
        upload = self._hand.upload
        if time.monotonic() > self._renewed + RENEW_S:
            self._renewed = time.monotonic()
            return await UPLOADS.hold(self._db, upload.id, OPEN) is not None
        async with self._db.system() as session:
            return await session.scalar(select(OPEN).where(Upload.id == upload.id)) is True

    async def _read(self, hands: int) -> None:
        while not self._over.is_set():
            fresh = await self._arrived()
            async with asyncio.TaskGroup() as group:
                waiting = iter(fresh)
                for _ in range(hands):
                    group.create_task(self._read_some(waiting))
            if not fresh:
                await self._rest()

    async def _arrived(self) -> list[Posted]:
        """List what may be read and wasn't, or not in this version; what lies below the first gap isn't looked at."""
        upload, etags = self._hand.upload, self._early.etags
        known = next(n for n in itertools.count(1) if n not in etags) - 1
        prefix, after = objects.raw_prefix(upload.facility_id, upload.id), None
        if known:
            after = objects.raw_key(upload.facility_id, upload.id, known)
        try:
            listed = await self._hand.storage.list("raw", prefix, after=after)
        except StorageUnavailable:
            return []
        posted = [Posted(n, one.etag, one.size) for one in listed if (n := objects.number_of(one.key)) is not None]
        return [one for one in posted if one.size <= LARGE and etags.get(one.number) != one.etag]

    async def _read_some(self, waiting: Iterator[Posted]) -> None:
        early = self._early
        for file in waiting:
            while self._worker.busy and not self._over.is_set():
                await self._rest()
            full = self._bytes + file.size > self._settings.read_ahead_bytes or len(early.etags) >= MOST_FILES
            if self._over.is_set() or full:
                return
            early.reader.forget(file.number)
            self._bytes += file.size
            with contextlib.suppress(ObjectMissing, StorageUnavailable):
                await self._hand.read(file)
                early.etags[file.number] = file.etag
                self._news = time.monotonic()
                await early.packer.add(early.reader.found.get(file.number, []))

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIST_S):
                await self._over.wait()


class Ahead:
    """Follows one open upload after the other, and has `worker` import each that it read once it is completed."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        storage: Storage,
        children: Children,
        shelf: Shelf,
        worker: Worker[Upload],
    ) -> None:
        self._settings, self._db, self._storage, self._children = settings, db, storage, children
        self._shelf, self._worker = shelf, worker

    async def run(self) -> None:
        """Follow uploads until cancelled; one that is being imported then gets its time."""
        await self._worker.until_stopped(self._serve)

    async def _serve(self) -> None:
        name = topology.UPLOADS_TO_READ
        async with bus.subscribe(self._settings.rabbitmq_url, name, name=name, prefetch=1) as looks:
            while True:
                message = await self._worker.next_look(looks)
                async with self.followed(UUID(json.loads(message.body)["id"])) as job:
                    if job:
                        await self._worker.work(job)
                if self._worker.stopping:  # another importer may read on: the message goes back
                    raise asyncio.CancelledError
                await message.ack()

    @contextlib.asynccontextmanager
    async def followed(self, upload_id: UUID) -> AsyncIterator[Upload | None]:
        """Read what arrives for an upload until it is completed; give it as a claimed job then, if it is ours.

        What was read can be had from the shelf inside. None for one that isn't open, whose client posts nothing more,
        or that an error came between: it is imported all the same, as if nobody had followed it.
        """
        with contextlib.ExitStack() as stack:
            job = None
            try:
                if upload := await UPLOADS.hold(self._db, upload_id, OPEN, FREE):
                    job = await self._follow(upload, stack)
            except Exception as error:
                log.warning("not read ahead", upload=str(upload_id), error=repr(error))
            yield job

    async def _follow(self, upload: Upload, stack: contextlib.ExitStack) -> Upload | None:
        async with self._db.facility(upload.facility_id) as session:
            sealer = await sealer_of(session, upload.facility_id, self._settings.master_key)
        scratch = stack.enter_context(scratch_folder())
        reader = Reader(self._children, sealer, scratch)
        early = Early(reader, sealer, Packer(self._db, self._storage, upload, scratch))
        following = Following(
            self._settings, self._db, Hand(self._storage, reader, upload, scratch), early, self._worker
        )
        job = None
        try:
            if await following.until_completed(self._children.size):
                job = await UPLOADS.take(self._db, upload)
        finally:
            if job is None:
                await early.packer.drop()
                await UPLOADS.hold(self._db, upload.id, OPEN, lease_s=0)  # nobody need wait for us
        if job:
            stack.enter_context(self._shelf.keeping(upload.id, early))
        return job
