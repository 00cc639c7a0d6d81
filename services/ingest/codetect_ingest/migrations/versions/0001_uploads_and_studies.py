"""Uploads, their files, studies, series, instances, facility keys."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, create_messaging, fence, job_columns, job_index
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def facility() -> sa.Column[UUID]:
    return sa.Column("facility_id", sa.Uuid, nullable=False)


def time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, TIME, nullable=nullable)


def upgrade() -> None:
    create_messaging()
    op.create_table(
        "uploads",
        *job_columns(),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("models", JSONB(none_as_null=True)),
        sa.Column("sealed_reference", sa.LargeBinary),
        time("created_at"),
        time("expires_at"),
        time("completed_at", nullable=True),
        time("finished_at", nullable=True),
        time("swept_at", nullable=True),
        sa.Column("files_total", sa.Integer, nullable=False),
        sa.Column("files_done", sa.Integer, nullable=False),
        sa.Column("studies", JSONB, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.UniqueConstraint("facility_id", "created_by", "idempotency_key"),
    )
    job_index("uploads")
    op.create_index("uploads_unswept", "uploads", ["expires_at"], postgresql_where=sa.text("swept_at IS NULL"))
    op.create_table(
        "upload_files",
        sa.Column("upload_id", sa.Uuid, sa.ForeignKey("uploads.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        facility(),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("detail", sa.Text),
        sa.Column("study_id", sa.Uuid),
    )
    op.create_table(
        "studies",
        *aggregate_columns(),
        sa.Column("study_instance_uid", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("study_date", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        time("created_at"),
        time("updated_at"),
        sa.UniqueConstraint("facility_id", "study_instance_uid"),
    )
    op.create_index("studies_newest", "studies", ["facility_id", "id"])
    op.create_table(
        "series",
        sa.Column("id", sa.Uuid, primary_key=True),
        facility(),
        sa.Column("study_id", sa.Uuid, sa.ForeignKey("studies.id"), nullable=False),
        sa.Column("series_instance_uid", sa.Text, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
        sa.UniqueConstraint("study_id", "series_instance_uid"),
    )
    op.create_table(
        "instances",
        sa.Column("series_id", sa.Uuid, sa.ForeignKey("series.id"), primary_key=True),
        sa.Column("sop_instance_uid", sa.Text, primary_key=True),
        facility(),
        sa.Column("index", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("source", sa.Integer, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
    )
    op.create_table(
        "facility_keys",
        sa.Column("facility_id", sa.Uuid, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        time("created_at"),
    )
    fence("uploads", "upload_files", "studies", "series", "instances", "facility_keys")
