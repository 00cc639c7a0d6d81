"""Webhooks over the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from codetect_auth.schemas import Out
from codetect_auth.webhooks.hearing import TYPES
from codetect_auth.webhooks.models import DeliveryState


def _known(value: str) -> str:
    if value not in TYPES:
        raise ValueError(f"webhooks tell of {', '.join(sorted(TYPES))}")
    return value


EventType = Annotated[
    str,
    AfterValidator(_known),
    Field(description="Events as docs/asyncapi.yaml has them.", json_schema_extra={"enum": [*sorted(TYPES)]}),
]
Url = Annotated[
    str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00-\x20\x7f]+$", examples=["https://a.example"])
]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Types = Annotated[list[EventType], Field(min_length=1, max_length=len(TYPES))]


class NewWebhook(BaseModel):
    """An address to tell of events."""

    model_config = ConfigDict(extra="forbid")
    url: Url
    types: Types
    description: Description = ""


class WebhookChange(BaseModel):
    """What is to be different."""

    model_config = ConfigDict(extra="forbid")
    url: Url = Field(default_factory=str)
    types: Types = Field(default_factory=list)
    description: Description = ""
    enabled: bool = True

    def changes(self) -> dict[str, Any]:
        """Only what was sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Webhook(Out):
    """An address that is told of events."""

    id: UUID
    url: str
    types: list[str]
    description: str
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime


class WebhookWithSecret(Webhook):
    """With the secret, which is shown this once."""

    secret: str


class WebhookSecret(BaseModel):
    """A new secret; the one before signs beside it for 24 hours."""

    secret: str


class WebhookTry(Out):
    """One request: the endpoint's status, or why there was none."""

    at: datetime
    status: int | None
    error: str | None
    took_ms: int


class WebhookDelivery(Out):
    """One event's way to one address."""

    id: UUID
    message_id: str
    type: str
    state: DeliveryState
    created_at: datetime
    delivered_at: datetime | None
    next_try_at: Annotated[datetime | None, Field(validation_alias="available_at")]
    body: dict[str, Any] | None = Field(description="None: what it told of was erased.")
    tries: list[WebhookTry] = []
