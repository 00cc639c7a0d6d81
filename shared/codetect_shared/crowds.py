"""Events that come in crowds, applied together."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog
from aio_pika.abc import AbstractIncomingMessage
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_shared import bus, inbox, telemetry, topology
from codetect_shared.db import Database
from codetect_shared.events import Event

log = structlog.get_logger()
Told = Sequence[tuple[Event, bus.Envelope]]


class BatchConsumer(bus.EventConsumer):
    """As EventConsumer, for one type of event that comes in crowds: what is at hand of a facility is one transaction.

    A batch that fails is applied again one by one, so that nothing suffers for another's sake.
    """

    def __init__(
        self,
        url: SecretStr,
        queue: topology.EventQueue,
        db: Database,
        handler: Callable[[AsyncSession, Told], Awaitable[None]],
        most: int = 100,
    ) -> None:
        async def alone(session: AsyncSession, event: Event, envelope: bus.Envelope) -> None:
            await handler(session, [(event, envelope)])

        super().__init__(url, queue, db, dict.fromkeys(queue.types, alone))
        self._handler, self._most = handler, most

    async def _consume(self) -> None:
        async with bus.subscribe(self._url, self._queue.name, name=self._queue.name, prefetch=2 * self._most) as found:
            while True:
                messages = [await found.get()]
                while len(messages) < self._most and (message := found.at_hand()):
                    messages.append(message)
                together = len(messages) > 1 and await self._together(messages)
                for message in messages:
                    if together or await self._settle(message):
                        await message.ack()
                    else:
                        await message.reject(requeue=False)

    async def _together(self, messages: Sequence[AbstractIncomingMessage]) -> bool:
        """Apply messages, one transaction a facility; False when some couldn't be."""
        try:
            by_facility: dict[UUID, list[bus.Envelope]] = {}
            for message in messages:
                envelope = bus.decode(message)
                by_facility.setdefault(envelope.facility_id, []).append(envelope)
            for facility_id, envelopes in by_facility.items():
                async with self._db.facility(facility_id) as session:
                    new = await inbox.first_times(session, self._queue.name, [one.id for one in envelopes])
                    told = [(one.event(), one) for one in envelopes if one.id in new and not new.discard(one.id)]  # type: ignore[func-returns-value]
                    if told:
                        await self._handler(session, told)
                for envelope in envelopes:
                    telemetry.EVENTS_APPLIED.labels(self._queue.name, envelope.type, "applied").inc()
        except Exception as error:
            log.warning("one by one", queue=self._queue.name, error=repr(error))
            return False
        return True
