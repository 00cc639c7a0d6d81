"""What webhooks tell: events become deliveries, one for each endpoint that wants to hear of them."""

from typing import Any
from uuid import UUID

from codetect_shared.bus import Envelope, Handler
from codetect_shared.db import uuid7
from codetect_shared.events import Event, StudyErased
from codetect_shared.topology import WEBHOOKS
from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.webhooks.models import DELIVERIES, Delivery, DeliveryState, Endpoint

TYPES = {event.type for event in WEBHOOKS.types}
TEST = "codetect.webhook.tested.v1"


async def on_event(session: AsyncSession, event: Event, envelope: Envelope) -> None:
    """Enter the deliveries of one event; what is told of an erased study before is forgotten."""
    study_id = envelope.data.get("study_id")
    if isinstance(event, StudyErased):
        await forget(session, envelope.facility_id, event.study_id)
    wanted = select(Endpoint).where(
        Endpoint.facility_id == envelope.facility_id, Endpoint.enabled, Endpoint.types.contains([envelope.type])
    )
    for endpoint in await session.scalars(wanted):
        body = body_of(envelope.type, envelope.time.isoformat().replace("+00:00", "Z"), envelope.data)
        body["data"] |= {"subject": envelope.subject, "sequence": envelope.sequence}
        await enter(session, endpoint, f"msg_{envelope.id.hex}", body, UUID(study_id) if study_id else None)


async def enter(
    session: AsyncSession, endpoint: Endpoint, message_id: str, body: dict[str, Any], study_id: UUID | None = None
) -> Delivery:
    """Have a message delivered."""
    delivery = Delivery(
        id=uuid7(),
        facility_id=endpoint.facility_id,
        endpoint_id=endpoint.id,
        message_id=message_id,
        type=body["type"],
        study_id=study_id,
        body=body,
        state=DeliveryState.QUEUED,
    )
    session.add(delivery)
    await session.flush()
    await DELIVERIES.enqueue(session, delivery)
    return delivery


def body_of(kind: str, time: str, data: dict[str, Any]) -> dict[str, Any]:
    """The payload as Standard Webhooks wants it; where objects lie in the store is nobody's business outside."""
    return {"type": kind, "timestamp": time, "data": _without_keys(data)}


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_keys(v) for k, v in value.items() if k != "key" and not k.endswith("_key")}
    return [_without_keys(each) for each in value] if isinstance(value, list) else value


async def forget(session: AsyncSession, facility_id: UUID, study_id: UUID) -> None:
    """Take back what is still on its way of a study, and empty what was delivered."""
    of_upload = Delivery.body["data"]["studies"].contains([str(study_id)])
    mine = Delivery.facility_id == facility_id, or_(Delivery.study_id == study_id, of_upload)
    await session.execute(delete(Delivery).where(*mine, Delivery.state == DeliveryState.QUEUED))
    await session.execute(update(Delivery).where(*mine).values(body=None, study_id=None))


HANDLERS: dict[type[Event], Handler] = dict.fromkeys(WEBHOOKS.types, on_event)
