"""What auth says of facilities: that they were opened, and how; that their people may not work for now."""

from uuid import UUID

from codetect_shared import audit
from codetect_shared.bus import Envelope
from codetect_shared.events import FacilityOpened, FacilityReactivated, FacilitySuspended, SettingsChanged
from codetect_shared.outbox import tell
from codetect_shared.tokens import Principal, Role
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.models import Facility, FacilitySettings, Profile


async def on_opened(session: AsyncSession, event: FacilityOpened) -> None:
    """Apply what the operator wishes for the facility's images; its admins may have said otherwise already."""
    (await _known(session, event.facility_id)).slug = event.slug
    wishes = {"retention_days": event.retention_days, "profile": event.profile}
    changes = {name: [None, value] for name, value in wishes.items() if value is not None}
    known = await session.get(FacilitySettings, event.facility_id)
    if known or not changes:
        return
    profile = event.profile or Profile.SEAL
    row = FacilitySettings(facility_id=event.facility_id, retention_days=event.retention_days, profile=profile)
    session.add(row)
    await session.flush()
    operator = Principal(str(event.opened_by or "command"), event.facility_id, event.slug, Role.OPERATOR)
    await audit.record(session, operator, "settings.change", detail=changes)
    await tell_settings(session, row)


async def on_standing(
    session: AsyncSession, event: FacilitySuspended | FacilityReactivated, envelope: Envelope
) -> None:
    """Keep whether a facility is suspended, unless something newer is known."""
    await _known(session, event.facility_id)
    older = Facility.id == event.facility_id, Facility.heard_sequence < envelope.sequence
    heard = {"suspended": isinstance(event, FacilitySuspended), "heard_sequence": envelope.sequence}
    await session.execute(update(Facility).where(*older).values(heard))


async def must_be_active(session: AsyncSession, facility_id: UUID) -> None:
    """Raises FacilityIsSuspended. One that nobody has told of works."""
    if await session.scalar(select(Facility.suspended).where(Facility.id == facility_id)):
        raise problems.FacilityIsSuspended


async def tell_settings(session: AsyncSession, settings: FacilitySettings) -> None:
    """Say how a facility's settings are now, in the transaction that changes them."""
    facility = await _known(session, settings.facility_id)
    said = {"retention_days": settings.retention_days, "profile": settings.profile}
    await tell(session, facility, SettingsChanged.model_validate({"facility_id": facility.id, **said}))


async def _known(session: AsyncSession, id: UUID) -> Facility:
    await session.execute(insert(Facility).values(id=id, facility_id=id).on_conflict_do_nothing())
    return await session.get_one(Facility, id)
