"""Tables: uploads and studies (which are the jobs), files, series, instances, what a facility wants, what it sealed."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import TYPES, AggregateRow, FacilityRow
from codetect_shared.forgetting import KEY_BYTES
from codetect_shared.jobs import JobRow, Jobs
from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
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
    kind: Mapped[str] = mapped_column(default="post")
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
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
    """What became of a file; one that is kept isn't analysed, and its code says why."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    KEPT = "kept"
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
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Study(Base, JobRow):
    """A study under pseudonyms. `version` counts what was told of it; 0 is a study of which nothing was told yet.

    As a job it is a study that slices came for and that waits to be assembled.
    """

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("facility_id", "study_instance_uid"),)

    study_instance_uid: Mapped[str]
    patient_id: Mapped[str]
    study_date: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    instances: Mapped[int] = mapped_column(default=0)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    legal_hold: Mapped[bool] = mapped_column(default=False)
    sealed_identity: Mapped[bytes | None]


class Kind(StrEnum):
    """What a series is to us: slices to analyse, files kept sealed and unread, documents that results are."""

    IMAGE = "image"
    SEALED = "sealed"
    RESULT = "result"


class Series(Base, FacilityRow):
    """A series: `facts` is the `SeriesFacts` that events carry of its newest version, once there is one."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("study_id", "series_instance_uid"),)

    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id"))
    series_instance_uid: Mapped[str]
    kind: Mapped[str] = mapped_column(default=Kind.IMAGE)
    modality: Mapped[str]
    attributes: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    sealed_identity: Mapped[bytes | None]


class InstanceRow(Base):
    """An instance: where its clean file lies inside an object, and its slice's place in the volume (ADR 0025)."""

    __tablename__ = "instances"

    series_id: Mapped[UUID] = mapped_column(ForeignKey("series.id"), primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    study_id: Mapped[UUID]
    upload_id: Mapped[UUID]
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
    instance_number: Mapped[int | None]
    index: Mapped[int | None]
    bucket: Mapped[str] = mapped_column(default="studies")
    key: Mapped[str]
    offset: Mapped[int] = mapped_column(BigInteger)
    length: Mapped[int] = mapped_column(BigInteger)
    header_offset: Mapped[int] = mapped_column(BigInteger)
    header_length: Mapped[int]
    hu_key: Mapped[str | None]
    hu_offset: Mapped[int | None] = mapped_column(BigInteger)
    hu_length: Mapped[int | None]
    source: Mapped[int]
    facts: Mapped[dict[str, Any]]
    sealed_identity: Mapped[bytes | None]


class StudyTerm(Base):
    """A keyed hash of an original value that a study can be found by; only the facility's key could tell which."""

    __tablename__ = "study_terms"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    term: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    study_id: Mapped[UUID] = mapped_column(primary_key=True)


class Profile(StrEnum):
    """What becomes of identities: sealed for those with the right, or forgotten."""

    SEAL = "seal"
    FORGET = "forget"


class Others(StrEnum):
    """What becomes of sound files that aren't CT slices."""

    REFUSE = "refuse"
    KEEP = "keep"


class FacilitySettings(Base):
    """How a facility wants its images treated; no row means the defaults."""

    __tablename__ = "facility_settings"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    profile: Mapped[str] = mapped_column(default=Profile.SEAL)
    others: Mapped[str] = mapped_column(default=Others.REFUSE)
    quiet_s: Mapped[int] = mapped_column(default=30)
    retention_days: Mapped[int | None]
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_studies: Mapped[int | None]
    quota_jobs: Mapped[int | None]
    forgetting: Mapped[bool] = mapped_column(default=False)


class Facility(Base, AggregateRow):
    """A facility as auth tells of it; its `sequence` numbers what is told of its settings here."""

    __tablename__ = "facilities"

    slug: Mapped[str | None]
    suspended: Mapped[bool] = mapped_column(default=False)
    heard_sequence: Mapped[int] = mapped_column(default=0)


class FacilityUsage(Base):
    """What a facility's studies take up; a trigger on `studies` counts it (migration 0004)."""

    __tablename__ = "facility_usage"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    studies: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)


class View(StrEnum):
    """Whose names an image bears: those it came with, or pseudonyms."""

    ORIGINAL = "original"
    PSEUDONYMOUS = "pseudonymous"


class DeliveryState(StrEnum):
    """Where a delivery stands; a failed one can be sent again."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"


class Destination(Base, FacilityRow):
    """A DICOMweb server that results go to."""

    __tablename__ = "destinations"
    __table_args__ = (UniqueConstraint("facility_id", "name"),)

    name: Mapped[str]
    url: Mapped[str]
    sealed_credentials: Mapped[bytes | None]
    view: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Delivery(Base, JobRow):
    """Results on their way to a destination, with what its server last said."""

    __tablename__ = "deliveries"

    destination_id: Mapped[UUID] = mapped_column(ForeignKey("destinations.id"))
    study_id: Mapped[UUID]
    analysis_id: Mapped[UUID]
    state: Mapped[str]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    delivered_at: Mapped[datetime | None]


class Erasure(Base):
    """A study whose rows are gone; its objects go (`emptied_at`), then what came late (`done_at`).

    `events_key` makes ids in what was told of it strangers; it goes once all of that is sent and changed.
    """

    __tablename__ = "erasures"

    study_id: Mapped[UUID] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    events_key: Mapped[bytes | None] = mapped_column(default=lambda: secrets.token_bytes(KEY_BYTES))
    requested_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    emptied_at: Mapped[datetime | None]
    reclaimed_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class FacilityKeyRow(Base):
    """A generation of a facility's key, wrapped with the master key (AES-KW, RFC 3394); without the row nothing opens.

    Generation 0 is no such: the keys of pseudonyms and terms, which outlast the first generation.
    """

    __tablename__ = "facility_keys"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)


# Ten, since an importer that is killed spends an attempt too; an object store that is away spends none.
UPLOADS = Jobs(Upload, topology.UPLOADS_TO_IMPORT, lease_s=15, max_attempts=10)
# Slices of a study that came without `complete`, after the quiet time.
ASSEMBLIES = Jobs(Study, topology.STUDIES_TO_ASSEMBLE, lease_s=15, max_attempts=10)
DELIVERY_WAITS_S = (*(5.0 * 2**n for n in range(10)), *[3600.0] * 71)  # hourly in the end, three days in all
DELIVERIES = Jobs(Delivery, topology.RESULTS_TO_DELIVER, lease_s=60, max_attempts=len(DELIVERY_WAITS_S) + 1)
