"""Studies that are older than their facility keeps them, and identities that a facility wants forgotten.

Both look at what is there, not at what was asked for once: what comes late is found by the next round.
"""

from uuid import UUID

import structlog
from codetect_shared.storage import StorageUnavailable
from codetect_shared.tokens import Principal, Role
from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import INTERVAL

from codetect_ingest import erasing, objects, problems
from codetect_ingest.filing import count
from codetect_ingest.models import FacilitySettings, InstanceRow, Kind, Profile, Series, Study, StudyTerm
from codetect_ingest.service import Ingest

log = structlog.get_logger()
AT_ONCE = 100
DAY = literal("1 day").cast(INTERVAL)


async def retain(ingest: Ingest) -> None:
    """Erase what is too old, and forget what is to be forgotten; so much a round, the rest in the next."""
    await _erase_old(ingest)
    await _forget(ingest)


async def _erase_old(ingest: Ingest) -> None:
    due = (
        select(Study.id, Study.facility_id)
        .join(FacilitySettings, FacilitySettings.facility_id == Study.facility_id)
        .where(Study.created_at < func.clock_timestamp() - FacilitySettings.retention_days * DAY, ~Study.legal_hold)
        .order_by(func.random())
        .limit(AT_ONCE)
    )
    async with ingest.db.system() as session:
        old = list(await session.execute(due))
    for study_id, facility_id in old:
        try:
            async with ingest.db.facility(facility_id) as session:
                await erasing.erase(session, clockwork(facility_id), study_id, why="retention")
        except problems.UnderLegalHold:
            log.info("held at the last moment", study=str(study_id))


async def _forget(ingest: Ingest) -> None:
    """Erase sealed identities, a few studies a transaction: a facility has millions of instances; none that is held."""
    wanted = FacilitySettings.forgetting, FacilitySettings.profile == Profile.FORGET, ~Study.legal_hold
    query = (
        select(Study.id, Study.facility_id)
        .join(FacilitySettings, FacilitySettings.facility_id == Study.facility_id)
        .where(*wanted, Study.sealed_identity.is_not(None))
        .limit(AT_ONCE)
    )
    async with ingest.db.system() as session:
        sealed = list(await session.execute(query))
    for study_id, facility_id in sealed:
        try:
            await _forget_study(ingest, facility_id, study_id)
        except StorageUnavailable as error:
            log.warning("not forgotten yet", study=str(study_id), error=repr(error))


async def _forget_study(ingest: Ingest, facility_id: UUID, study_id: UUID) -> None:
    """Erase what is sealed of a study: files that were kept whole first, since their rows name their objects.

    Beside those that rows name there may be some whose attempt failed, or that wait to be removed after a rotation.
    A hold that comes when files are being removed already comes too late.
    """
    unread = select(Series.id).where(Series.study_id == study_id, Series.kind == Kind.SEALED)
    whole = InstanceRow.study_id == study_id, InstanceRow.series_id.in_(unread)
    async with ingest.db.facility(facility_id) as session:
        if await session.scalar(select(Study.legal_hold).where(Study.id == study_id)) is not False:
            return
        keys = list(await session.scalars(select(InstanceRow.key).where(*whole)))
    if keys:
        there = await ingest.storage.list("studies", objects.study_prefix(facility_id, study_id))
        more = [one.key for one in there if objects.is_kept(one.key)]
        await ingest.storage.remove("studies", {*keys, *more})
    async with ingest.db.facility(facility_id) as session:
        # The study's row first, as everyone who writes its instances does.
        study = await session.scalar(select(Study).where(Study.id == study_id).with_for_update())
        if study is None:
            return
        await session.execute(delete(InstanceRow).where(*whole, InstanceRow.key.in_(keys)))
        used = select(InstanceRow.series_id).where(InstanceRow.series_id == Series.id).exists()
        await session.execute(delete(Series).where(Series.id.in_(unread), ~used))
        moved = await session.scalar(select(func.count()).select_from(InstanceRow).where(*whole))
        for table in (InstanceRow, Series):
            mine = table.study_id == study_id, table.sealed_identity.is_not(None)
            await session.execute(update(table).where(*mine).values(sealed_identity=None))
        await session.execute(delete(StudyTerm).where(StudyTerm.study_id == study_id))
        if not moved:  # else the next round finds the study again, with the files that came or moved meanwhile
            study.sealed_identity = None
        await session.flush()
        await count(session, study_id)


def clockwork(facility_id: UUID) -> Principal:
    """Return who erases when nobody asks: the platform itself."""
    return Principal("retention", facility_id, "", Role.OPERATOR)
