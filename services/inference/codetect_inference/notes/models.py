"""The table of notes."""

from datetime import datetime
from uuid import UUID

from codetect_shared.db import FacilityRow
from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from codetect_inference.models import Base


class Note(Base, FacilityRow):
    """What somebody wrote of a study; sealed as comments are, and erased with the study."""

    __tablename__ = "notes"

    study_id: Mapped[UUID]
    writer: Mapped[UUID]
    sealed_text: Mapped[bytes]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
