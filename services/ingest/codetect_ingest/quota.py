"""What a facility takes up, and whether more may come. Counted as it changes, so that asking reads a few rows only."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.facilities import must_be_active
from codetect_ingest.identities import settings_of
from codetect_ingest.models import FacilityUsage, Study, Upload
from codetect_ingest.settings import Settings

KINDS = ("bytes", "studies", "jobs")


@dataclass(frozen=True)
class Usage:
    """What is used, and the limits; None: none."""

    used: Mapping[str, int]
    quota: Mapping[str, int | None]

    def full(self, kind: str, coming: int = 0) -> bool:
        """Whether what comes is too much; without a size, whether nothing more fits."""
        limit = self.quota[kind]
        return limit is not None and self.used[kind] + max(coming, 1) > limit


async def usage(session: AsyncSession, settings: Settings, facility_id: UUID) -> Usage:
    """Read what a facility uses; of its own limits and the platform's the lower ones hold."""
    wanted = await settings_of(session, facility_id)
    counted = await session.get(FacilityUsage, facility_id)
    uploads = select(func.count(), func.coalesce(func.sum(Upload.stored_bytes), 0)).where(
        Upload.facility_id == facility_id, Upload.available_at.is_not(None)
    )
    studies = select(func.count()).where(Study.facility_id == facility_id, Study.available_at.is_not(None))
    waiting, waiting_bytes = (await session.execute(uploads)).one()
    limits: dict[str, int | None] = {}
    for kind in KINDS:
        both = (getattr(wanted, f"quota_{kind}"), getattr(settings, f"quota_{kind}"))
        limits[kind] = min((limit for limit in both if limit is not None), default=None)
    used = {
        "bytes": (counted.bytes if counted else 0) + int(waiting_bytes),
        "studies": counted.studies if counted else 0,
        "jobs": waiting + ((await session.scalar(studies)) or 0),
    }
    return Usage(used, limits)


async def check_quota(session: AsyncSession, settings: Settings, facility_id: UUID, bytes_coming: int = 0) -> None:
    """Raise StorageQuotaReached, StudyQuotaReached or TooManyJobs when a facility may not send more now.

    Nor while the facility is suspended (FacilityIsSuspended).
    Requests at once don't wait for each other: they can pass a limit by what they bring together.
    """
    await must_be_active(session, facility_id)
    now = await usage(session, settings, facility_id)
    if now.full("bytes", bytes_coming):
        raise problems.StorageQuotaReached(
            f"{now.used['bytes']} of {now.quota['bytes']} bytes are used, and {bytes_coming} more would come. "
            "Erase studies, or ask an admin of the facility for a higher quota."
        )
    if now.full("studies"):
        raise problems.StudyQuotaReached(
            f"{now.used['studies']} of {now.quota['studies']} studies are kept. "
            "Erase studies, or ask an admin of the facility for a higher quota."
        )
    if now.full("jobs"):
        raise problems.TooManyJobs(
            f"{now.used['jobs']} of {now.quota['jobs']} uploads and studies wait already. Try again in a while."
        )
