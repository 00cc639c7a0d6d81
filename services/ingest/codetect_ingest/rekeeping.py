"""Kept files sealed anew with the newest generation of a facility's key, each as a new object.

The row changes from the old object to the new one, and the old one stays until nobody can be reading it. Wherever this
stops, the row names an object that opens; called again, the same objects are written, and the old ones removed.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage
from cryptography.exceptions import InvalidTag
from sqlalchemy import select, tuple_, update

from codetect_ingest import objects
from codetect_ingest.filing import count
from codetect_ingest.identities import instance_owner
from codetect_ingest.keys import Use, facility_key
from codetect_ingest.models import InstanceRow, Kind, Series, Study

PAGE = 100
AT_ONCE = 4  # files are held in memory


@dataclass
class Rekeeping:
    """One facility's kept files on their way to `generation`: how many moved, which ones nothing opens."""

    db: Database
    storage: Storage
    master_key: bytes
    facility_id: UUID
    generation: int
    changed: int = 0
    unopened: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Seal every file anew that an older generation has sealed. Raises StorageUnavailable."""
        async for page in self._pages():
            older = [row for row in page if row.key != objects.sealed_by(row.key, self.generation)]
            for at in range(0, len(older), AT_ONCE):
                moves = (self._move(row) for row in older[at : at + AT_ONCE])
                for failed in await asyncio.gather(*moves, return_exceptions=True):
                    if failed:
                        raise failed

    async def tidy(self) -> None:
        """Remove the objects that rows named before. Raises StorageUnavailable."""
        async for page in self._pages():
            named = {row.key for row in page}
            before = {
                objects.sealed_by(key, older)
                for key in named
                if key == objects.sealed_by(key, self.generation)
                for older in range(1, self.generation)
            }
            await self.storage.remove("studies", before - named)

    async def _pages(self) -> AsyncIterator[list[Any]]:
        """Yield the kept files, some at a time, in an order that moving them doesn't change."""
        place = InstanceRow.study_id, InstanceRow.series_id, InstanceRow.sop_instance_uid
        query = (
            select(*place, InstanceRow.key)
            .join(Series, Series.id == InstanceRow.series_id)
            .where(Series.facility_id == self.facility_id, InstanceRow.facility_id == self.facility_id)
            .where(Series.kind == Kind.SEALED)
            .order_by(*place)
            .limit(PAGE)
        )
        after: tuple[Any, ...] | None = None
        while True:
            async with self.db.facility(self.facility_id) as session:
                page = (await session.execute(query.where(tuple_(*place) > after) if after else query)).all()
            if page:
                yield list(page)
            if len(page) < PAGE:
                return
            after = tuple(page[-1][:-1])

    async def _move(self, row: Any) -> None:
        async with self.db.facility(self.facility_id) as session:
            key = await facility_key(session, self.facility_id, self.master_key)
        mine = (
            InstanceRow.series_id == row.series_id,
            InstanceRow.sop_instance_uid == row.sop_instance_uid,
            InstanceRow.facility_id == self.facility_id,
        )
        try:
            sealed = await self.storage.get("studies", row.key)
            owner = instance_owner(row.series_id, row.sop_instance_uid)
            fresh = await asyncio.to_thread(key.reseal, Use.FILES, sealed, owner)
        except (ObjectMissing, InvalidTag):
            async with self.db.facility(self.facility_id) as session:
                if await session.scalar(select(InstanceRow.key).where(*mine)) == row.key:
                    self.unopened.add(f"kept file {row.key}")
            return
        new = objects.sealed_by(row.key, key.generation)
        await self.storage.put("studies", new, fresh)
        async with self.db.facility(self.facility_id) as session:
            present = await facility_key(session, self.facility_id, self.master_key)
            await session.scalar(select(Study.id).where(Study.id == row.study_id).with_for_update(key_share=True))
            moving = update(InstanceRow).where(*mine, InstanceRow.key == row.key).values(key=new, length=len(fresh))
            moved = None
            if present.generation == key.generation:
                moved = await session.scalar(moving.returning(InstanceRow.key))
                await count(session, row.study_id)
            named = moved or await session.scalar(select(InstanceRow.key).where(*mine))
        if moved:
            self.changed += 1
        elif named != new:  # erased or forgotten meanwhile, or another file came in its place
            await self.storage.remove("studies", [new])
