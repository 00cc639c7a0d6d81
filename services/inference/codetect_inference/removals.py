"""What goes for good after the transaction that removed the rows: result objects, and what events told of a study."""

from collections.abc import AsyncIterator
from datetime import timedelta

from codetect_shared import outbox
from codetect_shared.db import Database
from codetect_shared.storage import Storage
from sqlalchemy import delete, select

from codetect_inference.models import Erasure, Removal, now

AGAIN_FOR = timedelta(minutes=10)  # a worker in the middle of it may still write, until its next look or lease
BATCH = 500


async def sweep(db: Database, storage: Storage) -> None:
    """Forget and remove what is due; where the store or the broker is away, the next round does."""
    await forget_events(db)
    await remove_objects(db, storage)


async def forget_events(db: Database) -> None:
    """Take erased studies out of the outbox, once what was told of them is sent."""
    async with db.system() as session:
        due = list(await session.scalars(select(Erasure)))
    for erasure in due:
        async with db.system() as session:
            if await outbox.forget(session, erasure.id, erasure.key):
                await session.execute(delete(Erasure).where(Erasure.id == erasure.id))


async def remove_objects(db: Database, storage: Storage) -> None:
    """Remove what is due; each is done again for a while, which costs a listing and misses nothing."""
    async for due in _batches(db):
        for removal in due:
            found = await storage.list("results", removal.prefix)
            if found:
                await storage.remove("results", [one.key for one in found])
        over = [removal.id for removal in due if removal.created_at < now() - AGAIN_FOR]
        async with db.system() as session:
            await session.execute(delete(Removal).where(Removal.id.in_(over)))


async def _batches(db: Database) -> AsyncIterator[list[Removal]]:
    """Every removal, oldest first: what is done again must not keep new ones waiting."""
    due: list[Removal] = []
    while True:
        later = select(Removal).order_by(Removal.id).limit(BATCH)
        async with db.system() as session:
            due = list(await session.scalars(later.where(Removal.id > due[-1].id) if due else later))
        if not due:
            return
        yield due
