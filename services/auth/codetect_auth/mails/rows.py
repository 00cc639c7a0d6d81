"""Tables of mail beside `mails` itself: the mail server's state, people's choices, groups, addresses without a box."""

import hmac
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from codetect_shared.db import FacilityRow
from codetect_shared.sealing import keys_of
from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from codetect_auth.models import Base
from codetect_auth.people import email_key


class Choice(StrEnum):
    """Which mails of analyses a person wants; each holds what the one before it does."""

    NONE = "none"
    FAILURES = "failures"
    URGENT = "urgent"
    ALL = "all"


# Who hears nothing of a failure takes the study for still under way; results are looked at where they show.
DEFAULT_CHOICE = Choice.FAILURES


class MailServer(Base):
    """How our mail server does: one row. Until `retry_at` nobody connects, until `trying_until` one mailer does."""

    __tablename__ = "mail_server"

    id: Mapped[int] = mapped_column(primary_key=True)
    failures: Mapped[int]
    retry_at: Mapped[datetime | None]
    trying_until: Mapped[datetime | None]
    error: Mapped[str | None]


class MailPreference(Base):
    """What a person chose; no row: nothing yet."""

    __tablename__ = "mail_preferences"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    facility_id: Mapped[UUID]
    analyses: Mapped[str] = mapped_column(default=DEFAULT_CHOICE)
    language: Mapped[str | None]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ResultGroup(Base):
    """Analyses of a person's that ended and no mail has told of yet; `number` counts the mails that did."""

    __tablename__ = "result_groups"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    count: Mapped[int]
    number: Mapped[int]
    due_at: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]


class UndeliverableAddress(Base, FacilityRow):
    """An address that has no mailbox: mails of the facility's to it stop until an admin clears it."""

    __tablename__ = "undeliverable_addresses"

    address_key: Mapped[bytes]
    address: Mapped[str]
    reason: Mapped[str]
    mail_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


def address_key(master_key: bytes, address: str) -> bytes:
    """What an address is found by where it isn't to be read."""
    return hmac.digest(master_key, b"mail address/" + email_key(address).encode(), "sha256")


def address_keys(master_key: bytes, address: str) -> list[bytes]:
    """The same under the master key and those of before: while it is changed, rows have either."""
    return [address_key(key, address) for key in keys_of(master_key)]
