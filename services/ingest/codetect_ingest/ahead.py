"""Reading ahead: files of an open upload are read as they arrive, so that less is left once it is completed.

All that comes of it lies in a scratch folder, and in packs that no row names, until the upload is ours to import; what
was read of files that were frozen otherwise is forgotten. ADR 107 has the reasons.
"""

import asyncio
import contextlib
import itertools
import json
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from aio_pika.abc import AbstractIncomingMessage
from codetect_shared import bus, topology
from codetect_shared.db import Database
from codetect_shared.jobs import Worker
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from sqlalchemy import ColumnElement, select

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
BEGIN_S = 15.0  # for a client to post its first file
PATIENCE_S = 30.0  # with one that posts nothing more
MOST_S = 20 * 60.0  # the broker takes a message back that isn't acknowledged within half an hour
MOST_SLICES = 10_000
TIDY_S = 3.0
READ_WITHIN = timedelta(minutes=1)
OPEN = Upload.state == State.OPEN


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
        for number in self.reader.outcomes:
            if self.etags.get(number, "") != etags.get(number):
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
    """One open upload on its way: what is posted is read, once, while no job is in hand that somebody waits for.

    `held` is its row as it was leased last: who finds another lease there has been taken for dead.
    """

    def __init__(
        self, settings: Settings, db: Database, hand: Hand, early: Early, worker: Worker[Upload], held: Upload
    ) -> None:
        self._settings, self._db, self._hand, self._early, self._worker = settings, db, hand, early, worker
        self._held = held
        self._over = asyncio.Event()
        self._tried: set[int] = set()
        self._began = self._renewed = time.monotonic()
        self._gives_up = self._began + BEGIN_S
        self._bytes = self._slices = 0

    async def until_claimed(self, hands: int) -> Upload | None:
        """Read with so many hands until the upload is completed, and claim it; None where that isn't ours to do.

        Raises OSError and others.
        """
        job = None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(hands))
            try:
                while await self._is_open():
                    late = min(self._gives_up, self._began + MOST_S)
                    if self._worker.stopping or time.monotonic() > late:
                        return None
                    await asyncio.sleep(LOOK_S)
                self._over.set()
                job = await UPLOADS.take(self._db, self._held)
            finally:
                self._over.set()
        return job

    async def let_go(self) -> None:
        """Leave the upload to whoever comes: nobody need wait for us."""
        await UPLOADS.hold(self._db, self._held.id, OPEN, self._mine, lease_s=0)

    @property
    def _mine(self) -> ColumnElement[bool]:
        return Upload.lease_until == self._held.lease_until

    async def _is_open(self) -> bool:
        """Look, and now and then renew the lease; False for one that another holds now, too."""
        if time.monotonic() > self._renewed + RENEW_S:
            self._renewed = time.monotonic()
            held = await UPLOADS.hold(self._db, self._held.id, OPEN, self._mine)
            self._held = held or self._held
            return held is not None
        return await is_open(self._db, self._held.id)

    async def _read(self, hands: int) -> None:
        try:
            await self._read_on(hands)
        except Exception as error:
            if not self._over.is_set():
                raise
            log.warning("not all was read ahead", upload=str(self._held.id), error=repr(error))

    async def _read_on(self, hands: int) -> None:
        while not self._over.is_set() and not self._full:
            fresh = await self._arrived()
            if not fresh:
                await self._rest()
                continue
            self._patient()
            waiting = iter(fresh)
            async with asyncio.TaskGroup() as group:
                for _ in range(hands):
                    group.create_task(self._read_some(waiting))
        self._gives_up = math.inf  # full: what was read waits for the upload to be completed

    @property
    def _full(self) -> bool:
        return self._bytes >= self._settings.read_ahead_bytes or self._slices >= MOST_SLICES

    async def _arrived(self) -> list[Posted]:
        """List what was posted and not tried yet; what lies below the first gap was."""
        upload = self._hand.upload
        known = next(n for n in itertools.count(1) if n not in self._tried) - 1
        after = objects.raw_key(upload.facility_id, upload.id, known) if known else None
        prefix = objects.raw_prefix(upload.facility_id, upload.id)
        try:
            listed = await self._hand.storage.list("raw", prefix, after=after, most=self._settings.max_files)
        except StorageUnavailable:
            return []
        posted = [Posted(n, one.etag, one.size) for one in listed if (n := objects.number_of(one.key)) is not None]
        return [one for one in posted if one.number not in self._tried]

    async def _read_some(self, waiting: Iterator[Posted]) -> None:
        early = self._early
        for file in waiting:
            while self._worker.busy and not self._over.is_set():
                self._patient()
                await self._rest()
            if self._over.is_set() or self._full:
                return
            self._tried.add(file.number)
            if file.size > LARGE:
                continue
            try:
                await self._hand.read(file)
            except (ObjectMissing, StorageUnavailable):
                continue  # the import sees to it
            early.etags[file.number] = file.etag
            self._patient()
            slices, kept = early.reader.found.get(file.number, []), early.reader.kept.get(file.number)
            written = [path for one in slices for path in (one.clean, one.chunk)] + ([kept.sealed] if kept else [])
            self._slices += max(1, len(slices))
            self._bytes += sum(path.stat().st_size for path in written)
            await early.packer.add(slices)

    def _patient(self) -> None:
        self._gives_up = time.monotonic() + PATIENCE_S

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIST_S):
                await self._over.wait()


async def is_open(db: Database, upload_id: UUID) -> bool:
    """Tell whether an upload is still open."""
    async with db.system() as session:
        return await session.scalar(select(OPEN).where(Upload.id == upload_id)) is True


def _stale(message: AbstractIncomingMessage) -> bool:
    """Tell whether nobody took a look for so long that it isn't worth one."""
    return message.timestamp is not None and datetime.now(UTC) - message.timestamp > READ_WITHIN


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
                again, job = bool(message.redelivered), None
                if self._settings.read_ahead_bytes and (again or not _stale(message)):
                    async with self.followed(UUID(json.loads(message.body)["id"]), again=again) as job:
                        if job:
                            await self._worker.work_in_turn(job)
                if self._worker.stopping and job is None:  # another importer may read on: the message goes back
                    raise asyncio.CancelledError
                await message.ack()

    @contextlib.asynccontextmanager
    async def followed(self, upload_id: UUID, *, again: bool = False) -> AsyncIterator[Upload | None]:
        """Read what arrives for an upload until it is completed; give it as a claimed job then, if it is ours.

        What was read can be had from the shelf inside. None for one that isn't open, whose client posts nothing more,
        or that an error came between: it is imported all the same, as if nobody had followed it. `again`: somebody
        may have died over it, whose lease has to run out first.
        """
        with contextlib.ExitStack() as stack:
            job = None
            try:
                if held := await self._hold(upload_id, UPLOADS.lease_s if again else 0):
                    job = await self._follow(held, stack)
            except Exception as error:
                log.warning("not read ahead", upload=str(upload_id), error=repr(error))
            yield job

    async def _hold(self, upload_id: UUID, within_s: float) -> Upload | None:
        late = time.monotonic() + within_s
        while not (held := await UPLOADS.hold(self._db, upload_id, OPEN, UPLOADS.free)):
            if time.monotonic() > late or self._worker.stopping or not await is_open(self._db, upload_id):
                return None
            await asyncio.sleep(LIST_S)
        return held

    async def _follow(self, held: Upload, stack: contextlib.ExitStack) -> Upload | None:
        async with self._db.facility(held.facility_id) as session:
            sealer = await sealer_of(session, held.facility_id, self._settings.master_key)
        scratch = stack.enter_context(scratch_folder())
        reader = Reader(self._children, sealer, scratch)
        early = Early(reader, sealer, Packer(self._db, self._storage, held, scratch))
        hand = Hand(self._storage, reader, held, scratch)
        following, job = Following(self._settings, self._db, hand, early, self._worker, held), None
        try:
            job = await following.until_claimed(self._children.size)
        finally:
            if job is None:
                async with asyncio.timeout(TIDY_S):
                    await early.packer.drop()
                    await following.let_go()
        if job:
            stack.enter_context(self._shelf.keeping(held.id, early))
        return job
