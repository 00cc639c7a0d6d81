"""Packs of what is read ahead, written as they fill: an upload that is completed then waits for its volumes alone."""

import itertools
import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import structlog
from codetect_shared.db import Database
from codetect_shared.storage import Storage, StorageUnavailable
from codetect_shared.threads import in_thread

from codetect_ingest import filing, objects
from codetect_ingest.assembly import KnownStudy, put_all, remove
from codetect_ingest.models import Upload
from codetect_ingest.packs import PACK_BYTES, Found, Pack, packs_of, write_packs

log = structlog.get_logger()


class Packer:
    """Packs slices of studies that nobody knows yet; a known one may be erased meanwhile, or have another patient.

    No two packers write the same keys: one that was taken for dead can't touch another's objects.
    """

    def __init__(self, db: Database, storage: Storage, upload: Upload, scratch: Path) -> None:
        self._db, self._storage, self._upload, self._scratch = db, storage, upload, scratch
        self._token, self._numbers = secrets.token_hex(8), itertools.count()
        self._studies: dict[str, KnownStudy] = {}
        self._waiting: defaultdict[tuple[str, str], list[Found]] = defaultdict(list)
        self._keys: set[str] = set()
        self.packs: list[Pack] = []

    async def add(self, slices: Sequence[Found]) -> None:
        """Take slices that were read, and write a pack of their series when that is full."""
        for uids in {(one.instance.study_instance_uid, one.instance.series_instance_uid) for one in slices}:
            waiting = self._waiting[uids]
            waiting += [one for one in slices if one.instance.series_instance_uid == uids[1]]
            if sum(one.instance.bytes for one in waiting) > PACK_BYTES - waiting[-1].instance.bytes:
                del self._waiting[uids]
                await self._write(waiting)

    async def drop(self, keeping: Collection[str] = ()) -> None:
        """Remove what was written, but for these keys."""
        await remove(self._storage, "studies", self._keys - set(keeping))

    async def _write(self, slices: list[Found]) -> None:
        study = await self._study(slices[0])
        if study.version or study.series or study.patient_id != filing.NOBODY:
            return
        prefix = objects.early_prefix(self._upload.facility_id, study.id, self._upload.id, self._token)
        keys = objects.pack_keys(prefix, study.series_id(slices[0].instance.series_instance_uid), self._numbers)
        paths, places = await in_thread(write_packs, self._scratch, packs_of(slices, keys))
        self._keys |= paths.keys()
        try:
            await put_all(self._storage, paths)
        except StorageUnavailable as error:
            log.warning("not packed ahead", error=repr(error))
            return
        for key in paths:
            mine = {one.slot: place for one, place in zip(slices, places, strict=True) if place.key == key}
            self.packs.append(Pack(key, study.id, mine))

    async def _study(self, one: Found) -> KnownStudy:
        uid = one.instance.study_instance_uid
        if uid not in self._studies:
            facility_id = self._upload.facility_id
            async with self._db.facility(facility_id) as session:
                self._studies[uid] = await filing.reserve_nameless(session, facility_id, one.instance)
        return self._studies[uid]
