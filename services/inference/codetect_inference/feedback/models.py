"""Tables: one row of feedback a finding, the opinions on it with their history, and second readers' decisions."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from codetect_shared.db import AggregateRow, FacilityRow
from sqlalchemy import ColumnElement, Float, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from codetect_inference.models import Base


class Says(StrEnum):
    """Whether a label is there."""

    PRESENT = "present"
    ABSENT = "absent"
    UNSURE = "unsure"


class FeedbackState(StrEnum):
    """Where the feedback on a finding stands; only what is SETTLED becomes a label."""

    UNDECIDED = "undecided"
    AGREED = "agreed"
    WAITING = "waiting"
    ADJUDICATED = "adjudicated"


SETTLED = (FeedbackState.AGREED, FeedbackState.ADJUDICATED)


class WaitingFor(StrEnum):
    """Why a second reader is waited for."""

    DISAGREEMENT = "disagreement"
    SAMPLE = "sample"


class FacilityKey(Base):
    """The key that seals a facility's comments, sealed itself by the master key."""

    __tablename__ = "facility_keys"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    sealed_key: Mapped[bytes]


class Feedback(Base, AggregateRow):
    """What is said of one finding of one analysis; `says` is the outcome, once there is one."""

    __tablename__ = "feedback"

    analysis_id: Mapped[UUID]
    label: Mapped[str]
    model_says: Mapped[str]
    probability: Mapped[float] = mapped_column(Float)
    state: Mapped[str]
    reason: Mapped[str | None]
    says: Mapped[str | None]
    readers: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    decided_at: Mapped[datetime | None]

    @classmethod
    def is_label(cls) -> ColumnElement[bool]:
        """Whether it is settled, and not that it can't be told."""
        return cls.state.in_(SETTLED) & cls.says.is_not(None)


class Saying(FacilityRow):
    """What somebody said: of which slices, where (patient coordinates in mm), and in words, which are sealed."""

    feedback_id: Mapped[UUID]
    reader: Mapped[UUID]
    says: Mapped[str]
    slices: Mapped[list[int]] = mapped_column(JSONB, default=list)
    place_mm: Mapped[list[float] | None] = mapped_column(JSONB(none_as_null=True))
    sealed_comment: Mapped[bytes | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Opinion(Saying, Base):
    """A reader's; the newest of each counts, those before are history."""

    __tablename__ = "opinions"

    superseded: Mapped[bool] = mapped_column(default=False)


class Ruling(Saying, Base):
    """A second reader's decision; final until it is reopened."""

    __tablename__ = "rulings"

    reopened_at: Mapped[datetime | None]
    reopened_by: Mapped[UUID | None]
