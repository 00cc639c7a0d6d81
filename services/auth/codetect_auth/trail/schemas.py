"""The audit trail as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field


class AuditEvent(BaseModel):
    """One row of the chain."""

    id: UUID
    number: int = Field(description="Its place in the facility's chain.")
    at: datetime
    service: str
    service_number: int = Field(description="Its number among this service's rows of the facility.")
    subject: str = Field(description="Id of a person or an API client; else `anonymous`, `command`, `platform`, ...")
    role: str
    session_id: UUID | None
    action: str
    outcome: str
    target: str | None = Field(description="What it was done to, as `study/<id>`.")
    study_id: UUID | None
    address: str | None
    request_id: str | None
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 over the row and the hash of the row before, in hex.")


class AuditPage(BaseModel):
    """Rows, newest first."""

    items: list[AuditEvent]
    next: str | None = None


class AuditFinding(BaseModel):
    """Numbers of a service's rows that are missing for more than a minute, or came twice with another content."""

    service: str
    kind: str
    first: int
    last: int
    found_at: datetime


class AuditState(BaseModel):
    """Where the chain ends, to be kept elsewhere, and what was found."""

    facility_id: UUID
    number: int
    hash: str | None
    at: datetime | None
    waiting: int = Field(description="Rows that wait for one that is missing.")
    findings: list[AuditFinding]
