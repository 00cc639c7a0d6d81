"""Slices that came without an upload: kept and told to their sender at once, assembled when it has been quiet.

A deposit is one request's slices. It is an upload, too, already done: so what was refused is kept, and counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog
from codetect_shared import audit
from codetect_shared.db import uuid7
from codetect_shared.storage import StorageUnavailable
from codetect_shared.threads import in_thread, together
from codetect_shared.tokens import Principal
from sqlalchemy import func, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects, rows
from codetect_ingest.assembly import KnownStudy, by_series, put_all, put_packs, strangers
from codetect_ingest.correcting import Corrections, Said
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.filing import Outcome, StudyMoved
from codetect_ingest.identities import Sealer, settings_of
from codetect_ingest.kept import file_kept, write_kept
from codetect_ingest.models import FileState, InstanceRow, State, Study, Upload, UploadFile, now
from codetect_ingest.packs import Found, Kept, Place, write_hu_packs
from codetect_ingest.quota import FULL, must_fit
from codetect_ingest.service import Ingest

log = structlog.get_logger()
TRIES = 5


@dataclass(frozen=True)
class Packed:
    """A series' slices as they were written, with their places in packs of files and of HU."""

    study_id: UUID
    series_id: UUID
    slices: list[tuple[Found, Place, tuple[int, int, int]]]


class Deposit:
    """Keeps what one request brought."""

    def __init__(self, ingest: Ingest, who: Principal, sealer: Sealer, scratch: Path, started: datetime) -> None:
        self._settings, self._db, self._storage = ingest.settings, ingest.db, ingest.storage
        self._who, self._sealer, self._scratch, self._started = who, sealer, scratch, started
        self.id = uuid7()

    async def keep(
        self,
        sizes: Mapping[int, int],
        found: Mapping[int, list[Found]],
        kept: list[Kept],
        refused: dict[int, Refused],
    ) -> dict[int, Refused]:
        """Write objects, then commit rows; return every file that was refused.

        Raises StorageUnavailable, and StorageQuotaReached or StudyQuotaReached where it is too much: nothing is kept.
        """
        attempt = self._who.facility_id, self.id, 0
        for _ in range(TRIES):
            async with self._db.facility(self._who.facility_id) as session:
                self._sealer = await self._sealer.renewed(session)
                flat = [one for frames in found.values() for one in frames]
                named: list[rows.Named] = [one.instance for one in flat]
                named += [one.other for one in kept]
                # Of a series that came in a thousand requests, this one needs to know of its own instances.
                known = await filing.reserve_studies(session, self._who.facility_id, named, whole=False)
            unfit = strangers(found, known)
            packed = await self._pack([one for one in flat if one.number not in unfit], known)
            written = await write_kept(self._storage, self._sealer, attempt, kept, known)
            accepted = {
                number: known[frames[0].instance.study_instance_uid].id
                for number, frames in found.items()
                if number not in unfit
            }
            said = [_said(one, known) for one in flat if one.number in accepted]
            said += [one.said for one in written]
            taken = {one.kept.number for one in written}
            left = {number: why for number, why in (refused | unfit).items() if number not in taken}
            try:
                async with self._db.facility(self._who.facility_id) as session:
                    self._sealer = await self._sealer.renewed(session)
                    corrections = Corrections(self._sealer, said)
                    outcomes = await file_kept(
                        session, self._who.facility_id, self.id, written, self._sealer, corrections
                    )
                    outcomes |= {n: Outcome(FileState.ACCEPTED, study_id=of) for n, of in accepted.items()}
                    await self._commit(session, sizes, packed, found, left, outcomes, corrections)
                    await must_fit(session, self._settings, self._who.facility_id)
            except StudyMoved:
                continue
            except FULL:
                await self._withdraw(study.id for study in known.values())
                raise
            return left
        raise StudyMoved

    async def _withdraw(self, study_ids: Iterable[UUID]) -> None:
        """Remove the objects that were written; while the store is away they stay, and that is said."""
        try:
            for study_id in study_ids:
                await self._storage.erase("studies", self._prefix(study_id))
        except StorageUnavailable as error:
            log.warning("not removed yet", upload=str(self.id), error=repr(error))

    async def _pack(self, slices: Iterable[Found], known: Mapping[str, KnownStudy]) -> list[Packed]:
        """Write the objects of every series, but for slices that are there already just as they are."""
        packed = []
        for (study_uid, uid), group in by_series(slices):
            study = known[study_uid]
            known_series = study.series.get(uid)
            before = known_series.rows if known_series else []
            same = {(row.sop_instance_uid, row.facts["sha256"]) for row in before}
            new = [one for one in group if (one.instance.sop_instance_uid, one.instance.sha256) not in same]
            if new:
                packed.append(await self._write(study.id, study.series_id(uid), new))
        return packed

    async def _write(self, study_id: UUID, series_id: UUID, new: list[Found]) -> Packed:
        prefix = self._prefix(study_id)
        hu_packs, hu_places = await in_thread(write_hu_packs, self._scratch, new)
        files = {f"{prefix}{objects.hu_name(series_id, number)}": path for number, path in enumerate(hu_packs)}
        places, _ = await together(
            put_packs(self._storage, self._scratch, new, objects.pack_keys(prefix, series_id)),
            put_all(self._storage, files),
        )
        return Packed(study_id, series_id, list(zip(new, places, hu_places, strict=True)))

    def _prefix(self, study_id: UUID) -> str:
        return objects.attempt_prefix(self._who.facility_id, study_id, self.id, 0)

    async def _commit(
        self,
        session: AsyncSession,
        sizes: Mapping[int, int],
        packed: list[Packed],
        found: Mapping[int, list[Found]],
        refused: Mapping[int, Refused],
        outcomes: Mapping[int, Outcome],
        corrections: Corrections,
    ) -> None:
        """Write all rows of the deposit in one transaction. Raises StudyMoved when a study was erased meanwhile.

        That counts for slices that are there already just as they are, too: a study that goes takes them along.
        """
        locked: dict[UUID, Study] = {}
        for study_id in sorted({one.study_id for one in outcomes.values() if one.study_id}):
            locked[study_id] = await filing.lock_study(session, self._who.facility_id, study_id)
            await corrections.take_up(session, locked[study_id])
        studies = {one.study_id: locked[one.study_id] for one in packed}
        upload = await self._enter(session, sizes, found, refused, outcomes)
        for one in packed:
            await self._file(session, studies[one.study_id], one)
        quiet_s = (await settings_of(session, self._who.facility_id)).quiet_s
        for study in studies.values():
            await session.flush()
            await filing.count(session, study.id)
            # The reaper looks when it is due; each deposit puts it off.
            study.available_at = func.clock_timestamp() + timedelta(seconds=quiet_s)
            study.attempts, study.updated_at = 0, now()
        await filing.tell_imported(session, upload, refused, studies, filing.elapsed_ms(self._started, now()))
        # Some senders store each image by itself: what comes of one study within a minute is one row.
        for study_id in studies:
            await audit.record_once(session, self._who, "study.store", study_id=study_id)
        await corrections.record(session, self._who, self.id)

    async def _enter(
        self,
        session: AsyncSession,
        sizes: Mapping[int, int],
        found: Mapping[int, list[Found]],
        refused: Mapping[int, Refused],
        outcomes: Mapping[int, Outcome],
    ) -> Upload:
        """Enter the deposit as an upload that is done, with the outcome of each file."""
        ended = now()
        upload = Upload(
            id=self.id,
            facility_id=self._who.facility_id,
            kind="stow",
            state=State.DONE if len(refused) < len(sizes) else State.REFUSED,
            created_by=self._who.subject,
            created_at=self._started,
            expires_at=ended,
            completed_at=ended,
            finished_at=ended,
            swept_at=ended,
            files_total=len(sizes),
            files_done=len(sizes),
            stored_bytes=sum(sizes.values()),
        )
        session.add(upload)
        await session.flush()
        all_outcomes = {number: Outcome.of(why) for number, why in refused.items()} | dict(outcomes)
        values = [
            {"upload_id": upload.id, "number": number, "facility_id": upload.facility_id, "etag": "", "size": size}
            | {"report": found[number][0].report if number in found and number not in refused else None}
            | vars(all_outcomes[number])
            for number, size in sizes.items()
        ]
        await session.execute(insert(UploadFile), values)
        return upload

    async def _file(self, session: AsyncSession, study: Study, packed: Packed) -> None:
        first = packed.slices[0][0]
        await rows.seal_study(session, study, first.identity, self._sealer)
        await rows.upsert_series(session, study, packed.series_id, first, self._sealer, None)
        prefix = self._prefix(study.id)
        values = [
            rows.instance(study, packed.series_id, self.id, one, place, self._sealer)
            | {
                "hu_key": f"{prefix}{objects.hu_name(packed.series_id, number)}",
                "hu_offset": offset,
                "hu_length": length,
            }
            for one, place, (number, offset, length) in packed.slices
        ]
        statement = upsert(InstanceRow)
        changed = {
            name: statement.excluded[name]
            for name in rows.INSTANCE_COLUMNS
            if name not in ("series_id", "sop_instance_uid")
        }
        replacing = statement.on_conflict_do_update(
            index_elements=[InstanceRow.series_id, InstanceRow.sop_instance_uid], set_=changed
        )
        await session.execute(replacing, values)


def _said(one: Found, known: Mapping[str, KnownStudy]) -> Said:
    """Return what a slice says, also one that is there just as it is: names aren't in it."""
    study = known[one.instance.study_instance_uid]
    series_id = study.series_id(one.instance.series_instance_uid)
    return Said(one.number, study.id, series_id, one.instance, one.identity)
