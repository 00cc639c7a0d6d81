"""Who did what to whom: the one place where auth's changes are told, and where the audit row is written with them."""

from typing import Any

from codetect_shared.db import AggregateRow, FacilityRow
from codetect_shared.events import Event
from codetect_shared.outbox import tell
from codetect_shared.tokens import Principal
from sqlalchemy.ext.asyncio import AsyncSession


async def record(
    session: AsyncSession, who: Principal | None, action: str, about: FacilityRow, *events: Event, **detail: Any
) -> None:
    """Tell `events` about a row in the transaction that changes it.

    `who` did it (None: the machine's owner, or the person at the login itself); `action` (`factor.add`) and `detail`
    are small facts, never PHI and never secrets, for the audit row.
    """
    if events:
        assert isinstance(about, AggregateRow)
        await tell(session, about, *events)
