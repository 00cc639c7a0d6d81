"""Tables of webhooks: endpoints, deliveries on their way, and each try."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import FacilityRow
from codetect_shared.jobs import JobRow, Jobs
from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from codetect_auth.models import Base


class DeliveryState(StrEnum):
    """Where a delivery stands; a failed one can be sent again."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class Endpoint(Base, FacilityRow):
    """An address that wants to hear of events; after a change of its secret both sign until `old_until`."""

    __tablename__ = "webhook_endpoints"

    url: Mapped[str]
    description: Mapped[str]
    types: Mapped[list[str]]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    sealed_secret: Mapped[bytes]
    sealed_old_secret: Mapped[bytes | None]
    old_until: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Delivery(Base, JobRow):
    """One event on its way to one endpoint; `message_id` is what receivers tell copies by."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (UniqueConstraint("endpoint_id", "message_id"),)

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    type: Mapped[str]
    study_id: Mapped[UUID | None]
    body: Mapped[dict[str, Any] | None]
    state: Mapped[str] = mapped_column(default=DeliveryState.QUEUED)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    delivered_at: Mapped[datetime | None]


class Try(Base, FacilityRow):
    """One request: what the endpoint answered, or why there was no answer."""

    __tablename__ = "webhook_tries"

    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    status: Mapped[int | None]
    error: Mapped[str | None]
    took_ms: Mapped[int]


# Ten tries over three days.
WAITS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
DELIVERIES = Jobs(Delivery, topology.WEBHOOKS_TO_DELIVER, lease_s=60, max_attempts=len(WAITS_S) + 1)
