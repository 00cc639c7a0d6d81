"""What a facility has sealed in its rows, sealed anew with the newest generation of its key: a few rows a transaction.

What is done shows in the ciphertexts' marks, so it can be stopped anywhere and goes on from there.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from codetect_shared.db import Database
from cryptography.exceptions import InvalidTag
from sqlalchemy import ColumnElement, LargeBinary, and_, bindparam, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.identities import instance_owner
from codetect_ingest.keys import MARKED_BYTES, FacilityKey, Use, facility_key, mark_of
from codetect_ingest.models import Destination, InstanceRow, Series, Study, Upload

PAGE = 200
AT_ONCE = 500
PAUSE_S = 0.2


@dataclass(frozen=True)
class Place:
    """A column of sealed values: whose they are (`root`), and what each is bound to."""

    table: Any
    column: Any
    root: Any
    use: Use
    owner: Callable[[Any], UUID | str]

    @property
    def ids(self) -> list[Any]:
        """The table's own key."""
        return [self.table.__table__.c[column.name] for column in self.table.__table__.primary_key]

    def older(self, generation: int) -> ColumnElement[bool]:
        """What another generation has sealed."""
        mark = func.substr(self.column, 1, MARKED_BYTES, type_=LargeBinary)
        return and_(self.column.is_not(None), mark != mark_of(generation))


def _by_id(row: Any) -> UUID:
    return UUID(str(row.id))


OF_STUDIES = (
    Place(Study, Study.sealed_identity, Study.id, Use.IDENTITIES, _by_id),
    Place(Series, Series.sealed_identity, Series.study_id, Use.IDENTITIES, _by_id),
    Place(
        InstanceRow,
        InstanceRow.sealed_identity,
        InstanceRow.study_id,
        Use.IDENTITIES,
        lambda row: instance_owner(row.series_id, row.sop_instance_uid),
    ),
)
# Whoever writes what belongs to a root locks that first.
ROOTS: dict[Any, Sequence[Place]] = {
    Upload: (Place(Upload, Upload.sealed_reference, Upload.id, Use.TEXT, _by_id),),
    Destination: (Place(Destination, Destination.sealed_credentials, Destination.id, Use.TEXT, _by_id),),
    Study: OF_STUDIES,
}


@dataclass
class Resealing:
    """One facility's rows on their way to `generation`: how many were sealed anew, which ones nothing opens."""

    db: Database
    master_key: bytes
    facility_id: UUID
    generation: int
    changed: int = 0
    unopened: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Seal everything anew that an older generation has sealed.

        One pass does: whoever seals holds the generation that is newest when that commits (`facility_key`).
        """
        for root, places in ROOTS.items():
            after: UUID | None = None
            while page := await self._page(root, after):
                await self._settle(root, places, page)
                after = page[-1]

    async def _page(self, root: Any, after: UUID | None) -> list[UUID]:
        query = select(root.id).where(root.facility_id == self.facility_id).order_by(root.id).limit(PAGE)
        async with self.db.facility(self.facility_id) as session:
            return list(await session.scalars(query.where(root.id > after) if after else query))

    async def _settle(self, root: Any, places: Sequence[Place], page: list[UUID]) -> None:
        """Seal these anew; what somebody else has locked, a moment later."""
        waiting = set(page)
        while waiting:
            left: set[UUID] = set()
            for place in places:
                named = select(place.root).where(place.root.in_(waiting), place.table.facility_id == self.facility_id)
                async with self.db.facility(self.facility_id) as session:
                    left.update(await session.scalars(named.where(place.older(self.generation)).distinct()))
            done = [id for id in sorted(left) if all([await self._reseal(root, id, place) for place in places])]
            waiting = left.difference(done)
            if waiting:
                await asyncio.sleep(PAUSE_S)

    async def _reseal(self, root: Any, id: UUID, place: Place) -> bool:
        """Seal one root's values anew; return whether nobody had it locked."""
        after: tuple[Any, ...] | None = None
        while True:
            async with self.db.facility(self.facility_id) as session:
                key = await facility_key(session, self.facility_id, self.master_key)
                lock = select(root.id).where(root.id == id, root.facility_id == self.facility_id)
                if await session.scalar(lock.with_for_update(skip_locked=True, key_share=True)) is None:
                    return await session.scalar(lock) is None
                after = await self._some(session, key, id, place, after)
            if after is None:
                return True

    async def _some(
        self, session: AsyncSession, key: FacilityKey, id: UUID, place: Place, after: tuple[Any, ...] | None
    ) -> tuple[Any, ...] | None:
        """Seal so many anew; return where to go on, None at the end."""
        table, ids = place.table.__table__, place.ids
        column = table.c[place.column.key]
        query = select(*ids, column.label("sealed")).where(place.root == id, place.older(key.generation))
        if after:
            query = query.where(tuple_(*ids) > after)
        rows = (await session.execute(query.order_by(*ids).limit(AT_ONCE))).all()
        values = []
        for row in rows:
            try:
                fresh = key.reseal(place.use, row.sealed, place.owner(row))
            except InvalidTag:
                self.unopened.add(f"{table.name} {'/'.join(str(part) for part in row[:-1])}")
                continue
            values.append({"fresh": fresh} | {f"of_{own.name}": row[at] for at, own in enumerate(ids)})
        if values:
            mine = [own == bindparam(f"of_{own.name}") for own in ids]
            await session.execute(update(table).where(*mine).values({column.name: bindparam("fresh")}), values)
            self.changed += len(values)
        return tuple(rows[-1][:-1]) if len(rows) == AT_ONCE else None
