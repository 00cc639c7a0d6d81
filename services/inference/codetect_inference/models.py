"""Tables: models and where they serve, studies as this service knows them, analyses (the jobs), and what to remove."""

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import TYPES, AggregateRow, FacilityRow
from codetect_shared.forgetting import KEY_BYTES
from codetect_shared.jobs import JobRow, Jobs
from sqlalchemy import ARRAY, BigInteger, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from codetect_inference.failures import WrongState


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = TYPES


class Model(Base, AggregateRow):
    """A registered bundle, of use to every facility; `facility_id` is the operator's who registered it."""

    __tablename__ = "models"

    name: Mapped[str]
    version: Mapped[str]
    sha256: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    manifest: Mapped[dict[str, Any]]
    signed_by: Mapped[str | None]

    @property
    def key_prefix(self) -> str:
        """Where its files lie in the bucket `models`."""
        return bundle_prefix(self.name, self.version, self.sha256)


def bundle_prefix(name: str, version: str, sha256: str) -> str:
    """Where a bundle's files lie in the bucket `models`; the hash is that of its bundle.json."""
    return f"{name}/{version}/{sha256}/"


class Kind(StrEnum):
    """How a version takes part."""

    ACTIVE = "active"
    SHADOW = "shadow"
    CANARY = "canary"


class Rollout(Base, FacilityRow):
    """A version takes part, at one facility or at all (none); `facility_id` is the operator's.

    Versions that were activated lie on each other: the newest that hasn't ended serves. Of a shadow and of a canary
    there is one at a time; `share` is the canary's, in percent of the studies.
    """

    __tablename__ = "rollouts"

    name: Mapped[str]
    for_facility: Mapped[UUID | None]
    kind: Mapped[str]
    model_id: Mapped[UUID]
    share: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]


class Study(Base, FacilityRow):
    """The newest version of a study that ingest told of; an erased one keeps its id alone, so that it stays erased."""

    __tablename__ = "studies"

    version: Mapped[int]
    study_instance_uid: Mapped[str | None]
    upload_id: Mapped[UUID]
    submitted_by: Mapped[UUID | None]
    priority: Mapped[int]
    series: Mapped[list[Any]]
    erased: Mapped[bool] = mapped_column(default=False)


class Status(StrEnum):
    """Where an analysis stands."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


MOVES = {
    Status.QUEUED: {Status.RUNNING, Status.FAILED, Status.CANCELLED},
    Status.RUNNING: {Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED},
    Status.FAILED: {Status.QUEUED},
    Status.CANCELLED: {Status.QUEUED},
    Status.COMPLETED: set(),
}


class Analysis(Base, JobRow):
    """One model's reading of one version of a study: asked for, worked on, and its result."""

    __tablename__ = "analyses"

    study_id: Mapped[UUID]
    study_version: Mapped[int]
    upload_id: Mapped[UUID]
    submitted_by: Mapped[UUID | None]
    model_id: Mapped[UUID | None]
    model_name: Mapped[str]
    model_version: Mapped[str] = mapped_column(default="")
    model_sha256: Mapped[str | None]
    model_title: Mapped[str | None]
    preprocessing: Mapped[dict[str, Any] | None]
    shadow_for: Mapped[UUID | None]
    superseded: Mapped[bool] = mapped_column(default=False)

    series: Mapped[dict[str, Any] | None]
    series_reason: Mapped[str | None]

    status: Mapped[str] = mapped_column(default=Status.QUEUED)
    created_at: Mapped[datetime] = mapped_column(default=now)
    submitted_at: Mapped[datetime] = mapped_column(default=now)
    queued_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    upload_ms: Mapped[int | None] = mapped_column(BigInteger)
    import_ms: Mapped[int | None] = mapped_column(BigInteger)
    queued_ms: Mapped[int | None] = mapped_column(BigInteger)
    inference_ms: Mapped[int | None] = mapped_column(BigInteger)
    total_ms: Mapped[int | None] = mapped_column(BigInteger)

    slices_total: Mapped[int] = mapped_column(default=0)
    slices_done: Mapped[int] = mapped_column(default=0)
    slices_analysed: Mapped[int | None]
    findings: Mapped[list[Any]] = mapped_column(default=list)
    positive: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    top_slices: Mapped[list[Any]] = mapped_column(default=list)
    top_scores: Mapped[list[Any]] = mapped_column(default=list)
    unlikeness: Mapped[float | None]
    provider: Mapped[str | None]
    cpu_ms: Mapped[int | None] = mapped_column(BigInteger)
    gpu_ms: Mapped[int | None] = mapped_column(BigInteger)
    bytes_read: Mapped[int | None] = mapped_column(BigInteger)
    bytes_written: Mapped[int | None] = mapped_column(BigInteger)
    maps_key: Mapped[str | None]
    documents: Mapped[list[Any]] = mapped_column(default=list)
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]

    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    folder: Mapped[str | None]

    @property
    def results_prefix(self) -> str:
        """Where all of its result objects lie, of every attempt."""
        return f"{self.facility_id}/{self.id}/"

    @property
    def attempt_prefix(self) -> str:
        """Where those of the present attempt lie."""
        return f"{self.results_prefix}{self.fence}/"

    def move(self, to: Status) -> None:
        """Change the status, the one place that does. Raises WrongState."""
        if to not in MOVES[Status(self.status)]:
            raise WrongState(f"The analysis is {self.status}; it can't become {to}.")
        self.status = to


class MarkKind(StrEnum):
    """What an analysis can be found by besides its columns: a tag, a positive finding, or that it has any."""

    TAG = "tag"
    FINDING = "finding"
    ANY_FINDING = "any_finding"


class Mark(Base):
    """What an analysis can be found by; a trigger on `analyses` keeps it (migration 0013, ADR 103)."""

    __tablename__ = "analysis_marks"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    analysis_id: Mapped[UUID] = mapped_column(primary_key=True)


class Removal(Base, FacilityRow):
    """Result objects to remove: written with the change, done (for a while again and again) by a sweep."""

    __tablename__ = "removals"

    prefix: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Erasure(Base, FacilityRow):
    """A study, `id`, whose past events are still to be forgotten, by a key that goes with this row."""

    __tablename__ = "erasures"

    key: Mapped[bytes] = mapped_column(default=lambda: secrets.token_bytes(KEY_BYTES))


# Eight, since a worker that is killed spends an attempt too.
ANALYSES = Jobs(Analysis, topology.ANALYSES_TO_RUN, lease_s=30, max_attempts=8)
