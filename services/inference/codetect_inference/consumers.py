"""Events of other services that inference reacts to."""

from codetect_shared.bus import Envelope, Handler
from codetect_shared.events import Event, StudyErased, StudyReceived
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import service


async def on_study_received(session: AsyncSession, event: StudyReceived, envelope: Envelope) -> None:
    """Queue its analyses."""
    await service.receive_study(session, envelope.facility_id, event)


async def on_study_erased(session: AsyncSession, event: StudyErased, envelope: Envelope) -> None:
    """Erase what was read from it."""
    await service.erase_study(session, envelope.facility_id, event)


HANDLERS: dict[type[Event], Handler] = {StudyReceived: on_study_received, StudyErased: on_study_erased}
