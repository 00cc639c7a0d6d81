"""Removing result objects for good, apart from the transaction that removed their rows."""

from datetime import timedelta

from codetect_shared.db import Database
from codetect_shared.storage import Storage
from sqlalchemy import delete, select

from codetect_inference.models import Removal, now

AGAIN_FOR = timedelta(minutes=10)  # a worker in the middle of it may still write, until its next look or lease


async def sweep(db: Database, storage: Storage) -> None:
    """Remove what is due; each is done again for a while, which costs a listing and misses nothing."""
    async with db.system() as session:
        due = list(await session.scalars(select(Removal).order_by(Removal.id).limit(500)))
    for removal in due:
        found = await storage.list("results", removal.prefix)
        if found:
            await storage.remove("results", [one.key for one in found])
    over = [removal.id for removal in due if removal.created_at < now() - AGAIN_FOR]
    async with db.system() as session:
        await session.execute(delete(Removal).where(Removal.id.in_(over)))
