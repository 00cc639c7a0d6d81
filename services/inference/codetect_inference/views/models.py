"""The table of kept views."""

from datetime import datetime
from uuid import UUID

from codetect_shared.db import FacilityRow
from sqlalchemy.orm import Mapped, mapped_column

from codetect_inference.models import Base, now


class View(Base, FacilityRow):
    """What one person filters the worklist by, under a name; nobody else sees it."""

    __tablename__ = "views"

    owner: Mapped[UUID]
    name: Mapped[str]
    filters: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
