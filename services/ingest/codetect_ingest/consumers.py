"""Events of other services that ingest reacts to."""

from functools import partial

from codetect_shared.bus import Envelope, Handler
from codetect_shared.events import AnalysisCompleted, Event, FacilityOpened, FacilityReactivated, FacilitySuspended
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import facilities
from codetect_ingest.keys import facility_key
from codetect_ingest.results import on_analysis_completed


def handlers(master_key: bytes) -> dict[type[Event], Handler]:
    """Return what to do on each event."""

    async def on_facility_opened(session: AsyncSession, event: FacilityOpened, envelope: Envelope) -> None:
        """Give the facility its key, and the settings it was opened with."""
        await facility_key(session, event.facility_id, master_key)
        await facilities.on_opened(session, event)

    return {
        FacilityOpened: on_facility_opened,
        FacilitySuspended: facilities.on_standing,
        FacilityReactivated: facilities.on_standing,
    }


def results(master_key: bytes) -> dict[type[Event], Handler]:
    """Return what to do with results."""
    return {AnalysisCompleted: partial(on_analysis_completed, master_key=master_key)}
