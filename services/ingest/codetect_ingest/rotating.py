"""`python -m codetect_ingest rotate-keys`: facilities' keys get a new generation, and older ones are destroyed.

Begin (a transaction), seal anew, wait until nobody reads what was, destroy (a transaction). Each step looks at what is
there: a rotation that was stopped goes on when it is asked for again (ADR 33).
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from codetect_shared import audit
from codetect_shared.audit import Actor
from codetect_shared.db import Database, one_at_a_time, opened
from codetect_shared.storage import Storage, StorageUnavailable
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_wrap
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.keys import KEY_BYTES, LASTING, generations, key_of, lock_of
from codetect_ingest.models import Facility, FacilityKeyRow
from codetect_ingest.rekeeping import Rekeeping
from codetect_ingest.resealing import Resealing
from codetect_ingest.settings import Settings

GRACE_S = 300.0  # longer than anybody takes to read what they found, but for the largest exports
TRIES, PAUSE_S = 60, 1.0
LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '2s'")
LOCKED = "55P03"


class Unfinished(Exception):
    """A facility's older keys had to stay; says why."""


class Rotation:
    """The steps of one facility's rotation."""

    def __init__(self, db: Database, storage: Storage, master_key: bytes, facility_id: UUID) -> None:
        self._db, self._storage, self._master_key, self.facility_id = db, storage, master_key, facility_id
        self.rows = self.files = 0

    async def begin(self) -> bool:
        """Make a new generation, unless one is under way; False where nothing was ever sealed. Raises Unfinished.

        Whoever seals or reads at this moment holds the lock for its transaction. While we wait others wait behind us,
        so it is for two seconds at a time.
        """
        for _ in range(TRIES):
            try:
                async with self._db.facility(self.facility_id) as session:
                    await session.execute(LOCK_TIMEOUT)
                    await one_at_a_time(session, lock_of(self.facility_id))
                    return await self._begin(session)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != LOCKED:
                    raise
            await asyncio.sleep(PAUSE_S)
        raise Unfinished("Somebody seals or reads all the time; try again when less is done.")

    async def _begin(self, session: AsyncSession) -> bool:
        found = await generations(session, self.facility_id, self._master_key)
        if not found:
            return False
        key = key_of(found)
        if key.older:
            return True
        new = {key.generation + 1: os.urandom(KEY_BYTES)}
        if LASTING not in found:
            new[LASTING] = key.never_changing
        for generation, material in new.items():
            wrapped = aes_key_wrap(self._master_key, material)
            session.add(FacilityKeyRow(facility_id=self.facility_id, generation=generation, wrapped=wrapped))
        await session.flush()
        await audit.record(session, self._command, "facility-key.rotate", target=f"facility-key/{key.generation + 1}")
        return True

    async def seal_anew(self) -> None:
        """Seal everything with the newest generation. Raises Unfinished, StorageUnavailable."""
        generation = await self._newest()
        rows = Resealing(self._db, self._master_key, self.facility_id, generation)
        files = Rekeeping(self._db, self._storage, self._master_key, self.facility_id, generation)
        try:
            await rows.run()
            await files.run()
        finally:
            self.rows, self.files = self.rows + rows.changed, self.files + files.changed
        if unopened := sorted(rows.unopened | files.unopened):
            raise Unfinished(f"The older keys stay, since this couldn't be opened: {', '.join(unopened)}.")

    async def destroy(self) -> None:
        """Remove the objects of before, then the keys that opened them. Raises Unfinished, StorageUnavailable."""
        await self.seal_anew()  # nothing is left to do, unless somebody wrote past our locks
        generation = await self._newest()
        await Rekeeping(self._db, self._storage, self._master_key, self.facility_id, generation).tidy()
        g = FacilityKeyRow.generation
        older = delete(FacilityKeyRow).where(
            FacilityKeyRow.facility_id == self.facility_id, g != LASTING, g < generation
        )
        async with self._db.facility(self.facility_id) as session:
            gone = sorted(await session.scalars(older.returning(g)))
            if gone:
                detail = {"destroyed": gone, "rows": self.rows, "files": self.files}
                target = f"facility-key/{generation}"
                await audit.record(session, self._command, "facility-key.destroy", target=target, detail=detail)

    async def _newest(self) -> int:
        async with self._db.facility(self.facility_id) as session:
            return key_of(await generations(session, self.facility_id, self._master_key)).generation

    @property
    def _command(self) -> Actor:
        return Actor("command", self.facility_id, "operator")


async def rotate(
    db: Database, storage: Storage, master_key: bytes, facility_ids: Sequence[UUID], grace_s: float = GRACE_S
) -> dict[UUID, str]:
    """Rotate these facilities' keys, one wait for all; return of each what was done, or why it is unfinished."""
    said: dict[UUID, str] = {}
    going: list[Rotation] = []
    async with alone(db, facility_ids) as ours:
        said |= dict.fromkeys(set(facility_ids) - set(ours), f"{UNFINISHED}Another command rotates its key just now.")
        for facility_id in ours:
            rotation = Rotation(db, storage, master_key, facility_id)
            async with _saying(said, facility_id):
                if not await rotation.begin():
                    said[facility_id] = "has no key yet."
                    continue
                await rotation.seal_anew()
                going.append(rotation)
        if going:
            await asyncio.sleep(grace_s)
        for rotation in going:
            async with _saying(said, rotation.facility_id):
                await rotation.destroy()
                said[rotation.facility_id] = (
                    f"has a new key; sealed anew: {rotation.rows} rows, {rotation.files} files."
                )
    return said


UNFINISHED = "isn't done: "


@asynccontextmanager
async def _saying(said: dict[UUID, str], facility_id: UUID) -> AsyncIterator[None]:
    """What goes wrong with one facility holds up no other."""
    try:
        yield
    except Unfinished as why:
        said[facility_id] = f"{UNFINISHED}{why}"
    except InvalidUnwrap:
        said[facility_id] = f"{UNFINISHED}The master key doesn't open its key; see docs/keys.md."
    except StorageUnavailable as why:
        said[facility_id] = f"{UNFINISHED}The object store is away ({why}); run this again."


@asynccontextmanager
async def alone(db: Database, facility_ids: Sequence[UUID]) -> AsyncIterator[list[UUID]]:
    """Hold these facilities' rotations; yield those that nobody else holds. A process that dies lets go."""
    async with db.system_engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        ours = []
        for facility_id in facility_ids:
            name = func.hashtextextended(f"facility key rotation/{facility_id}", 0)
            if await connection.scalar(select(func.pg_try_advisory_lock(name))):
                ours.append(facility_id)
        try:
            yield ours
        finally:
            await connection.execute(select(func.pg_advisory_unlock_all()))


async def named(session: AsyncSession, name: str | None) -> list[UUID]:
    """Return the facility of this id or slug; without a name, all that have a key. Raises SystemExit."""
    if name is None:
        return list(await session.scalars(select(FacilityKeyRow.facility_id).distinct()))
    try:
        return [UUID(name)]
    except ValueError:
        found = list(await session.scalars(select(Facility.id).where(Facility.slug == name)))
    if len(found) != 1:
        raise SystemExit(
            f"Ingest knows no facility {name!r} (of those opened before it kept slugs, it knows the id only)."
        )
    return found


async def run(settings: Settings, name: str | None, grace_s: float) -> dict[UUID, str]:
    """Do what the command says."""
    async with opened(settings.database_url, settings.database_system_url) as db:
        async with db.system() as session:
            facility_ids = await named(session, name)
        return await rotate(db, Storage(settings), settings.master_key, facility_ids, grace_s)


def main(arguments: list[str]) -> None:
    """The command; ends with 1 where something is unfinished."""
    parser = argparse.ArgumentParser(prog="python -m codetect_ingest rotate-keys", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--facility", metavar="SLUG_OR_ID")
    which.add_argument("--all", action="store_true", help="every facility that has a key")
    parser.add_argument("--grace", type=float, default=GRACE_S, metavar="SECONDS", help="before the old is destroyed")
    options = parser.parse_args(arguments)
    said = asyncio.run(run(Settings(), options.facility, options.grace))
    for facility_id, what in sorted(said.items()):
        print(facility_id, what)
    if any(what.startswith(UNFINISHED) for what in said.values()):
        sys.exit(1)
