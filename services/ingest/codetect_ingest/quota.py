"""What a facility takes up, and whether more may come. Counted as it changes, so that asking reads a few rows only."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from codetect_shared.db import one_at_a_time
from codetect_shared.problems import Problem
from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.facilities import must_be_active
from codetect_ingest.identities import settings_of
from codetect_ingest.models import FacilityUsage, Study, Upload
from codetect_ingest.settings import Settings

KINDS = ("bytes", "studies", "jobs")
FULL = (problems.StorageQuotaReached, problems.StudyQuotaReached)
ADVICE = "Erase studies, or ask an admin of the facility for a higher quota."


@dataclass(frozen=True)
class Usage:
    """What is used, and the limits; None: none."""

    used: Mapping[str, int]
    quota: Mapping[str, int | None]

    def full(self, kind: str, coming: int = 0) -> bool:
        """Whether what comes is too much; without a size, whether nothing more fits."""
        limit = self.quota[kind]
        return limit is not None and self.used[kind] + max(coming, 1) > limit

    def over(self, kind: str) -> bool:
        """Whether more is used than may be."""
        limit = self.quota[kind]
        return limit is not None and self.used[kind] > limit


def code_of(full: Problem) -> str:
    """Return what an upload says that there was no room for: `storage_quota_reached`, `study_quota_reached`."""
    return full.type.rpartition(":")[2].replace("-", "_")


async def usage(session: AsyncSession, settings: Settings, facility_id: UUID) -> Usage:
    """Read what a facility uses, and may."""
    return Usage(await _used(session, facility_id), await limits_of(session, settings, facility_id))


async def _used(session: AsyncSession, facility_id: UUID) -> dict[str, int]:
    counted = (await session.execute(_counted(facility_id))).one_or_none()
    uploads = select(func.count(), func.coalesce(func.sum(Upload.stored_bytes), 0)).where(
        Upload.facility_id == facility_id, Upload.available_at.is_not(None)
    )
    studies = select(func.count()).where(Study.facility_id == facility_id, Study.available_at.is_not(None))
    waiting, waiting_bytes = (await session.execute(uploads)).one()
    return {
        "bytes": (counted.bytes if counted else 0) + int(waiting_bytes),
        "studies": counted.studies if counted else 0,
        "jobs": waiting + ((await session.scalar(studies)) or 0),
    }


async def limits_of(session: AsyncSession, settings: Settings, facility_id: UUID) -> dict[str, int | None]:
    """Return a facility's limits: of its own and the platform's the lower ones hold."""
    wanted = await settings_of(session, facility_id)
    limits: dict[str, int | None] = {}
    for kind in KINDS:
        both = (getattr(wanted, f"quota_{kind}"), getattr(settings, f"quota_{kind}"))
        limits[kind] = min((limit for limit in both if limit is not None), default=None)
    return limits


def _counted(facility_id: UUID) -> Select[int, int]:
    return select(FacilityUsage.bytes, FacilityUsage.studies).where(FacilityUsage.facility_id == facility_id)


async def check_quota(session: AsyncSession, settings: Settings, facility_id: UUID, bytes_coming: int = 0) -> None:
    """Raise StorageQuotaReached, StudyQuotaReached or TooManyJobs when a facility may not send more now.

    Nor while the facility is suspended (FacilityIsSuspended). Where there are limits, requests at once wait for each
    other, until what one of them has counts.
    """
    await must_be_active(session, facility_id)
    limits = await limits_of(session, settings, facility_id)
    if any(limit is not None for limit in limits.values()):
        await one_at_a_time(session, f"quota/{facility_id}")
    now = Usage(await _used(session, facility_id), limits)
    if now.full("bytes", bytes_coming):
        raise problems.StorageQuotaReached(
            f"{now.used['bytes']} of {now.quota['bytes']} bytes are used, and {bytes_coming} more would come. {ADVICE}"
        )
    if now.full("studies"):
        raise problems.StudyQuotaReached(f"{now.used['studies']} of {now.quota['studies']} studies are kept. {ADVICE}")
    if now.full("jobs"):
        raise problems.TooManyJobs(
            f"{now.used['jobs']} of {now.quota['jobs']} uploads and studies wait already. Try again in a while."
        )


async def must_fit(session: AsyncSession, settings: Settings, facility_id: UUID, *, admitted_bytes: int = 0) -> None:
    """Raise StorageQuotaReached or StudyQuotaReached where what this transaction has entered is too much.

    What was let in before it came (`admitted_bytes`) stays. To be asked last: from here to the commit nobody else can
    enter anything in the facility, and who records an audit row after this could wait for one who waits for this.
    """
    limits = await limits_of(session, settings, facility_id)
    if limits["bytes"] is None and limits["studies"] is None:
        return
    before = (await session.execute(_counted(facility_id).with_for_update())).one_or_none()
    await session.flush()
    await session.execute(text("SET CONSTRAINTS count_usage IMMEDIATE"))
    after = (await session.execute(_counted(facility_id))).one_or_none()
    more_bytes = (after.bytes if after else 0) - (before.bytes if before else 0)
    more_studies = (after.studies if after else 0) - (before.studies if before else 0)
    now = Usage(await _used(session, facility_id), limits)
    if more_bytes > admitted_bytes and now.over("bytes"):
        raise problems.StorageQuotaReached(
            f"With this {now.used['bytes']} of {now.quota['bytes']} bytes would be used. {ADVICE}"
        )
    if more_studies > 0 and now.over("studies"):
        raise problems.StudyQuotaReached(
            f"With this {now.used['studies']} of {now.quota['studies']} studies would be kept. {ADVICE}"
        )
