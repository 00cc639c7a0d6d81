"""Tables: uploads (which are the jobs) with their frozen files, studies, series, instances, facilities' keys."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import TYPES, AggregateRow, FacilityRow
from codetect_shared.jobs import JobRow, Jobs
from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from codetect_ingest.problems import WrongState


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = TYPES


class State(StrEnum):
    """Where an upload stands."""

    OPEN = "open"
    IMPORTING = "importing"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


MOVES = {
    State.OPEN: {State.IMPORTING, State.EXPIRED},
    State.IMPORTING: {State.DONE, State.REFUSED},
    State.DONE: set(),
    State.REFUSED: set(),
    State.EXPIRED: set(),
}


class Upload(Base, JobRow):
    """A folder of files on its way in: posted by a client, frozen, then imported."""

    __tablename__ = "uploads"

    state: Mapped[str] = mapped_column(default=State.OPEN)
    created_by: Mapped[str]
    idempotency_key: Mapped[str | None]
    models: Mapped[list[str] | None]
    sealed_reference: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    swept_at: Mapped[datetime | None]
    files_total: Mapped[int] = mapped_column(default=0)
    files_done: Mapped[int] = mapped_column(default=0)
    studies: Mapped[list[Any]] = mapped_column(default=list)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]

    def move(self, to: State) -> None:
        """Change the state, the one place that does. Raises WrongState."""
        if to not in MOVES[State(self.state)]:
            raise WrongState(f"The upload is {self.state}; it can't become {to}.")
        self.state = to


class FileState(StrEnum):
    """What became of a file."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class UploadFile(Base):
    """A posted file as it was when its upload was completed; what is posted later has another ETag and isn't read."""

    __tablename__ = "upload_files"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    etag: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(default=FileState.PENDING)
    code: Mapped[str | None]
    detail: Mapped[str | None]
    study_id: Mapped[UUID | None]


class Study(Base, AggregateRow):
    """A study under pseudonyms; `version` counts the uploads that brought slices of it."""

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("facility_id", "study_instance_uid"),)

    study_instance_uid: Mapped[str]
    patient_id: Mapped[str]
    study_date: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class Series(Base, FacilityRow):
    """A series in its newest version: `facts` is the `SeriesFacts` that events carry."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("study_id", "series_instance_uid"),)

    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id"))
    series_instance_uid: Mapped[str]
    facts: Mapped[dict[str, Any]]


class InstanceRow(Base):
    """A slice of a series' newest version: its place in the volume, its clean file, its `dicom.instance.Instance`."""

    __tablename__ = "instances"

    series_id: Mapped[UUID] = mapped_column(ForeignKey("series.id"), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    index: Mapped[int]
    key: Mapped[str]
    source: Mapped[int]
    facts: Mapped[dict[str, Any]]


class FacilityKeyRow(Base):
    """A facility's key, wrapped with the master key (AES-KW, RFC 3394); erasing the row erases what it opens."""

    __tablename__ = "facility_keys"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)


# Ten, since an importer that is killed spends an attempt too; an object store that is away spends none.
UPLOADS = Jobs(Upload, topology.UPLOADS_TO_IMPORT, lease_s=15, max_attempts=10)
