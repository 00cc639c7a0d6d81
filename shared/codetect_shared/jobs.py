"""Jobs: rows that are claimed with a lease and a fence, worked on, and settled once.

Postgres is the truth; a message only says "look". `available_at` is set while there is something to do; a claim raises
`fence` and `attempts` and sets `lease_until`; only the holder of the present fence can settle. All times are those of
Postgres.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr
from sqlalchemy import ColumnElement, Select, SmallInteger, and_, case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from codetect_shared import bus, expiring, outbox, telemetry
from codetect_shared.db import AggregateRow, Database

log = structlog.get_logger()
URGENT, ROUTINE, UNAWAITED = 0, 1, 2
PRIORITIES = {"urgent": URGENT, "routine": ROUTINE}
AGEING = timedelta(minutes=10)
"""An urgent job goes before routine ones, but for those that have waited so much longer: nobody starves."""

BEHIND = {URGENT: timedelta(0), ROUTINE: AGEING, UNAWAITED: timedelta(days=365)}
"""By so much a job of a priority stands behind an urgent one; what nobody waits for, behind all that somebody does."""

LAST = datetime(9000, 1, 1, tzinfo=UTC)
OVERTAKING_S = 0.5


class LeaseLost(Exception):
    """Someone else holds the job now: nothing of this attempt may be kept."""


class JobRow(AggregateRow):
    """Columns of a row that is a job, see `migrations.job_columns`."""

    priority: Mapped[int] = mapped_column(SmallInteger, default=ROUTINE)
    available_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    looked_at: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)

    @property
    def rank(self) -> datetime:
        """Of several jobs the one with the lowest goes first, at the claim and after it."""
        return (self.available_at or LAST) + BEHIND[self.priority]


Job = TypeVar("Job", bound=JobRow)


class Jobs(Generic[Job]):
    """The jobs of one table, and the queue that wakes their workers."""

    def __init__(self, table: type[Job], queue: str, *, lease_s: float = 30, max_attempts: int = 5) -> None:
        self.table, self.queue, self.lease_s, self.max_attempts = table, queue, lease_s, max_attempts

    @property
    def free(self) -> ColumnElement[bool]:
        """Of rows that nobody holds a lease on."""
        t = self.table
        return or_(t.lease_until.is_(None), t.lease_until < func.clock_timestamp())

    async def enqueue(self, session: AsyncSession, row: Job, *, head_start_s: float = 0) -> None:
        """Make a row due now, and wake a worker after the commit.

        Who holds a lease on it already (`hold`) has `head_start_s` to take it before others may claim it.
        """
        row.available_at = row.looked_at = func.clock_timestamp()
        row.lease_until, row.attempts = None, 0
        if head_start_s:
            lease_until, first = self.table.lease_until, self._in(head_start_s)
            row.lease_until = case((lease_until > func.clock_timestamp(), func.least(lease_until, first)))
        await outbox.ask_to_look(session, self.queue, row)

    async def hold(
        self, db: Database, row_id: UUID, *which: ColumnElement[bool], lease_s: float | None = None
    ) -> Job | None:
        """Lease a row that isn't due yet, or renew that lease, 0 s to end it; None where it isn't `which` we mean."""
        t = self.table
        until = self._in(self.lease_s if lease_s is None else lease_s)
        mine = update(t).where(t.id == row_id, t.available_at.is_(None), *which).values(lease_until=until)
        async with db.system() as session:
            return (await session.scalars(mine.returning(t))).one_or_none()

    async def take(self, db: Database, held: Job) -> Job | None:
        """Claim a row that was held and is due now; None when it isn't due, or someone else was quicker."""
        async with db.system() as session:
            t = self.table
            return await self._claimed(session, t.id == held.id, t.fence == held.fence, t.available_at.is_not(None))

    async def claim(self, db: Database, *, urgent: bool = False) -> Job | None:
        """Take the due row that goes first, committed; None when nothing is due. `urgent`: of the urgent ones alone."""
        async with db.system() as session:
            for priority in (URGENT,) if urgent else await self._in_order(session):
                if job := await self._take(session, priority):
                    return job
        return None

    async def _in_order(self, session: AsyncSession) -> list[int]:
        """The priorities of which a job is due, the one whose first job goes first at the front.

        One look at each priority's end of the index, so that a long queue costs no more than a short one.
        """
        t = self.table
        heads = {
            priority: self._due(select(t.available_at), priority).scalar_subquery().label(f"p{priority}")
            for priority in BEHIND
        }
        row = (await session.execute(select(*heads.values()))).one()
        ranks = {priority: at + BEHIND[priority] for priority, at in zip(heads, row, strict=True) if at}
        return sorted(ranks, key=lambda priority: ranks[priority])

    async def _take(self, session: AsyncSession, priority: int) -> Job | None:
        t = self.table
        pick = self._due(select(t.id), priority).with_for_update(skip_locked=True, key_share=True).cte("pick")
        return await self._claimed(session, t.id == pick.c.id)

    async def _claimed(self, session: AsyncSession, *which: ColumnElement[bool]) -> Job | None:
        t = self.table
        taken = {"fence": t.fence + 1, "attempts": t.attempts + 1, "lease_until": self._in(self.lease_s)}
        return (await session.scalars(update(t).where(*which).values(**taken).returning(t))).one_or_none()

    def _due(self, what: Select[Any], priority: int) -> Select[Any]:
        """Of the first due row of a priority."""
        t = self.table
        due = and_(t.available_at <= func.clock_timestamp(), self.free)
        return what.where(t.priority == priority, due).order_by(t.available_at, t.id).limit(1)

    @asynccontextmanager
    async def holding(self, db: Database, job: Job) -> AsyncIterator[None]:
        """Renew the lease while the block runs; LeaseLost is raised in it when the job is no longer ours."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                renewal = asyncio.create_task(self._renew(db, job, scope))
                try:
                    yield
                finally:
                    renewal.cancel()
        except TimeoutError:
            if scope.expired():
                raise LeaseLost(str(job.id)) from None
            raise

    async def _renew(self, db: Database, job: Job, scope: asyncio.Timeout) -> None:
        clock = asyncio.get_running_loop().time
        held_until = clock() + self.lease_s
        while clock() < held_until:
            await asyncio.sleep(self.lease_s / 3)
            try:
                asked = clock()
                async with asyncio.timeout(self.lease_s / 3), db.system() as session:
                    await self._settled(session, job, lease_until=self._in(self.lease_s))
                held_until = asked + self.lease_s
            except LeaseLost:
                break
            except bus.TRANSIENT as error:
                log.warning("lease not renewed", job=str(job.id), error=repr(error))
        scope.reschedule(clock())

    async def settle(self, session: AsyncSession, job: Job) -> Job:
        """In the transaction of the outcome: the job is done. Returns its row; LeaseLost when it is no longer ours."""
        return await self._settled(session, job, available_at=None, lease_until=None)

    async def postpone(self, session: AsyncSession, job: Job, delay_s: float, *, spent: bool = True) -> Job:
        """Do it again in `delay_s` seconds; `spent=False` gives the attempt back."""
        attempts = self.table.attempts if spent else func.greatest(self.table.attempts - 1, 0)
        row = await self._settled(session, job, available_at=self._in(delay_s), lease_until=None, attempts=attempts)
        if delay_s == 0:
            await outbox.ask_to_look(session, self.queue, row)
        return row

    async def _settled(self, session: AsyncSession, job: Job, **values: Any) -> Job:
        t = self.table
        changed = (
            update(t)
            .where(t.id == job.id, t.fence == job.fence, t.available_at.is_not(None))
            .values(**values)
            .returning(t)
        )
        row = (await session.scalars(changed.execution_options(populate_existing=True))).one_or_none()
        if row is None:
            raise LeaseLost(str(job.id))
        return row

    @staticmethod
    def _in(seconds: float) -> Any:
        return func.clock_timestamp() + timedelta(seconds=seconds)


class Worker(Generic[Job]):
    """Claims and works jobs one after the other: woken by "look" messages, told the rest by Postgres.

    `run(job)` does the work and settles; `give_up(session, row, error)` records the failure after the last attempt.
    While somebody else has the `turn`, nothing is claimed.
    """

    def __init__(
        self,
        jobs: Jobs[Job],
        db: Database,
        url: SecretStr,
        run: Callable[[Job], Awaitable[None]],
        give_up: Callable[[AsyncSession, Job, Exception | None], Awaitable[None]],
        *,
        drain_s: float = 20,
        turn: asyncio.Lock | None = None,
    ) -> None:
        self._jobs, self._db, self._url, self._run, self._give_up, self._drain_s = jobs, db, url, run, give_up, drain_s
        self._turn = turn
        self._stopping = asyncio.Event()
        self._in_hand = 0

    @property
    def busy(self) -> bool:
        """Whether a job is in hand."""
        return self._in_hand > 0

    @property
    def stopping(self) -> bool:
        """Whether the process is to stop."""
        return self._stopping.is_set()

    async def run(self) -> None:
        """Work until cancelled; then finish the job in hand within `drain_s`, or give it back."""
        await self.until_stopped(self._serve)

    async def overtake(self, hands: int) -> None:
        """One more hand beside `hands` of `run`, for urgent jobs that come while all of those are busy.

        It looks twice a second, and only then: a hand that is free is woken by messages.
        """

        async def serve() -> None:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), OVERTAKING_S)
                if self._stopping.is_set():
                    raise asyncio.CancelledError
                if self._in_hand >= hands and (job := await self._jobs.claim(self._db, urgent=True)):
                    await self.work(job)

        await self.until_stopped(serve)

    async def until_stopped(self, serve: Callable[[], Awaitable[None]]) -> None:
        """Serve, anew after every error, until cancelled; then leave `serve` its time to come to an end."""
        serving = asyncio.create_task(bus.forever(self._jobs.queue, serve))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._stopping.set()
            await asyncio.wait([serving], timeout=self._drain_s)
            serving.cancel()
            await asyncio.wait([serving])
            raise

    async def _serve(self) -> None:
        await self._drain()
        async with bus.subscribe(self._url, self._jobs.queue, name=self._jobs.queue, prefetch=1) as looks:
            await self._drain()
            while True:
                message = await self.next_look(looks)
                if self._turn and self._turn.locked():  # another worker may be free
                    await looks.pause()
                    await message.nack(requeue=True)
                elif not await self._heed(message, looks):
                    continue
                await self._drain()
                await looks.resume()

    async def _heed(self, message: AbstractIncomingMessage, looks: bus.Subscription) -> bool:
        """Claim and work a job, deaf meanwhile; False when there is none."""
        async with self._turn or nullcontext():
            job = await self._jobs.claim(self._db)
            if job is None:
                await message.ack()
                return False
            try:
                await looks.pause()
                await message.ack()
            except Exception as error:
                log.warning("look not acknowledged", error=repr(error))
            await self.work(job)
            return True

    async def next_look(self, looks: bus.Subscription) -> AbstractIncomingMessage:
        """The next look; ends the serving when the process is to stop."""
        get, stop = asyncio.create_task(looks.get()), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([get, stop], return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                raise asyncio.CancelledError
            return await get
        finally:
            get.cancel()
            stop.cancel()

    async def _drain(self) -> None:
        """Work until nothing is due."""
        async with self._turn or nullcontext():
            while not self._stopping.is_set() and (job := await self._jobs.claim(self._db)):
                await self.work(job)
        if self._stopping.is_set():
            raise asyncio.CancelledError

    async def work_in_turn(self, job: Job) -> None:
        """Work a job that was claimed elsewhere, once it is its turn; its lease is renewed until then."""
        await self.work(job, self._turn)

    async def work(self, job: Job, turn: asyncio.Lock | None = None) -> None:
        """Work a job that was claimed, come what may, and after whoever has the `turn`."""
        with self._holding_one(), telemetry.working(self._jobs.queue, job.id, job.facility_id):
            try:
                if job.attempts > self._jobs.max_attempts:
                    await self._finally(job, None)
                    return
                async with self._jobs.holding(self._db, job), turn or nullcontext():
                    await self._run(job)
            except asyncio.CancelledError:
                await asyncio.shield(self._give_back(job))
                raise
            except LeaseLost:
                log.warning("lease lost")
            except Exception as error:
                await self._failed(job, error)

    @contextmanager
    def _holding_one(self) -> Iterator[None]:
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1

    async def _give_back(self, job: Job) -> None:
        try:
            async with asyncio.timeout(3), self._db.system() as session:
                await self._jobs.postpone(session, job, 0, spent=False)
        except Exception as error:
            log.warning("job not given back; its lease will run out", error=repr(error))

    async def _failed(self, job: Job, error: Exception) -> None:
        log.warning("attempt failed", attempt=job.attempts, exc_info=error)
        try:
            if job.attempts >= self._jobs.max_attempts:
                await self._finally(job, error)
            else:
                async with self._db.system() as session:
                    await self._jobs.postpone(session, job, min(2.0**job.attempts, 60))
        except Exception as worse:
            log.warning("outcome not recorded; the lease will run out", error=repr(worse))

    async def _finally(self, job: Job, error: Exception | None) -> None:
        async with self._db.facility(job.facility_id) as session:
            row = await self._jobs.settle(session, job)
            await self._give_up(session, row, error)


class Reaper:
    """On the database's clock, sends "look" again for rows that are due, expired, or unclaimed for a minute."""

    def __init__(self, url: SecretStr, *jobs: Jobs[Any]) -> None:
        self._url, self._jobs = url, jobs

    async def run(self) -> None:
        """Look every second until cancelled; beside that, forget what is old in outbox and inbox."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(bus.forever("reaper", self._reap))
            parts.create_task(expiring.forget_now_and_then(self._url))

    async def _reap(self) -> None:
        db = await outbox.connect_directly(self._url)
        try:
            tables = [jobs.table.__tablename__ for jobs in self._jobs]
            any_due = f"SELECT {', '.join(ANY_DUE.format(table=table) for table in tables)}"
            while True:
                due = await db.fetchrow(any_due)
                for jobs, table, is_due in zip(self._jobs, tables, due, strict=True):
                    if is_due:  # an INSERT of no rows would wake the relay all the same
                        await db.execute(LOOK_AGAIN.format(table=table), jobs.queue)
                await asyncio.sleep(1)
        finally:
            db.terminate()


DUE = """
        FROM {table}
        WHERE available_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until < clock_timestamp())
          AND (looked_at IS NULL OR looked_at < available_at OR looked_at < lease_until
               OR looked_at < clock_timestamp() - interval '60 seconds')
"""
ANY_DUE = f"EXISTS (SELECT {DUE})"
LOOK_AGAIN = f"""
    WITH due AS (
        SELECT id, facility_id {DUE}
        ORDER BY priority, available_at LIMIT 100 FOR UPDATE SKIP LOCKED
    ), seen AS (
        UPDATE {{table}} SET looked_at = clock_timestamp() FROM due WHERE {{table}}.id = due.id
    )
    INSERT INTO outbox (event_id, facility_id, queue, type, subject, sequence, data, time)
    SELECT gen_random_uuid(), facility_id, $1, 'look', id::text, 0, '{{{{}}}}', clock_timestamp() FROM due
"""  # noqa: S608 - constants
