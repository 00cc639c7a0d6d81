"""Files that aren't analysed and stay beside their study: sealed whole, shown to who may see identities."""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from codetect_shared.storage import Storage
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import objects, rows
from codetect_ingest.assembly import KnownStudy
from codetect_ingest.correcting import Corrections, Said
from codetect_ingest.filing import Outcome, StudyMoved, count, lock_study
from codetect_ingest.identities import Sealer, instance_owner
from codetect_ingest.keys import KEY_BYTES, FacilityKey
from codetect_ingest.models import FileState, Kind, Study
from codetect_ingest.packs import Kept


@dataclass(frozen=True)
class KeptObject:
    """A kept file that lies in the store, sealed; `length` is that of the sealed bytes."""

    kept: Kept
    study_id: UUID
    series_id: UUID
    key: str
    length: int
    generation: int

    @property
    def said(self) -> Said:
        """What the file says of itself."""
        return Said(self.kept.number, self.study_id, self.series_id, self.kept.other, self.kept.other.identity)


# Files that wait in a scratch folder wait for this process alone, and longer than a facility's key may last.
SCRATCH = FacilityKey(os.urandom(KEY_BYTES))


def scratch_owner(number: int) -> str:
    """Return what a file is sealed for while it waits in the scratch folder."""
    return f"scratch/{number}"


async def write_kept(
    storage: Storage,
    sealer: Sealer,
    attempt: tuple[UUID, UUID, int],
    kept: Iterable[Kept],
    known: Mapping[str, KnownStudy],
) -> list[KeptObject]:
    """Write kept files as objects; one that names another patient than its study does is left refused.

    `attempt` is facility, job and fence.
    """
    written = []
    for one in kept:
        study = known[one.other.study_instance_uid]
        if study.patient_id != one.other.patient_id:
            continue
        facility_id, job_id, fence = attempt
        series_id = objects.derived_id(study.id, one.other.series_instance_uid)
        prefix = objects.attempt_prefix(facility_id, study.id, job_id, fence)
        sealed = await asyncio.to_thread(_sealed, sealer, one, series_id)
        generation = sealer.key.generation
        key = f"{prefix}{objects.kept_name(series_id, one.number, generation)}"
        written.append(KeptObject(one, study.id, series_id, key, len(sealed), generation))
        await storage.put("studies", written[-1].key, sealed)
    return written


async def file_kept(
    session: AsyncSession,
    facility_id: UUID,
    upload_id: UUID,
    written: list[KeptObject],
    sealer: Sealer,
    corrections: Corrections,
) -> dict[int, Outcome]:
    """Enter kept files; return the outcome of each.

    Raises StudyMoved when a study was erased meanwhile, or the key that sealed the files isn't the newest any more.
    """
    if any(one.generation != sealer.key.generation for one in written):
        raise StudyMoved
    outcomes = {}
    for study_id in sorted({one.study_id for one in written}):
        study = await lock_study(session, facility_id, study_id)
        await corrections.take_up(session, study)
        for one in (one for one in written if one.study_id == study_id):
            await rows.seal_study(session, study, one.kept.other.identity, sealer)
            await _enter(session, study, upload_id, one, sealer)
            why = one.kept.why
            outcomes[one.kept.number] = Outcome(FileState.KEPT, why.code.value, why.detail, study_id)
        await session.flush()
        await count(session, study_id)
    return outcomes


async def _enter(session: AsyncSession, study: Study, upload_id: UUID, one: KeptObject, sealer: Sealer) -> None:
    other = one.kept.other
    series = {
        "id": one.series_id,
        "series_instance_uid": other.series_instance_uid,
        "kind": Kind.SEALED,
        "modality": other.modality,
        "attributes": other.attributes,
        "sealed_identity": sealer.series(other.identity, one.series_id),
    }
    instance = {
        "sop_instance_uid": other.sop_instance_uid,
        "upload_id": upload_id,
        "sop_class_uid": other.sop_class_uid,
        "transfer_syntax_uid": other.transfer_syntax_uid,
        "instance_number": other.instance_number,
        "bucket": "studies",
        "key": one.key,
        "length": one.length,
        "source": one.kept.number,
        "facts": other.facts,
        "sealed_identity": sealer.instance(other.identity, one.series_id, other.sop_instance_uid),
    }
    await rows.enter_whole(session, study, series, instance, replace=True)


def _sealed(sealer: Sealer, one: Kept, series_id: UUID) -> bytes:
    data = SCRATCH.unseal_bytes(one.sealed.read_bytes(), scratch_owner(one.number))
    return sealer.key.seal_bytes(data, instance_owner(series_id, one.other.sop_instance_uid))
