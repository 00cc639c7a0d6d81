"""Identities sealed, instances in packs, studies as jobs, settings, destinations, erasures, audit."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, job_columns, job_index, unfenced
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)


def facility(*, primary_key: bool = False) -> sa.Column[UUID]:
    return sa.Column("facility_id", sa.Uuid, nullable=False, primary_key=primary_key)


def upgrade() -> None:
    op.add_column("uploads", sa.Column("kind", sa.Text, nullable=False, server_default="post"))
    op.add_column("uploads", sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("upload_files", sa.Column("report", JSONB(none_as_null=True)))
    for column in job_columns():
        if column.name not in ("id", "facility_id", "sequence"):
            op.add_column("studies", column)
    job_index("studies")
    op.add_column("studies", sa.Column("instances", sa.Integer, nullable=False, server_default="0"))
    op.add_column("studies", sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("studies", sa.Column("legal_hold", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("studies", sa.Column("sealed_identity", sa.LargeBinary))
    op.create_index("studies_patient", "studies", ["facility_id", "patient_id"])
    op.create_index("studies_date", "studies", ["facility_id", "study_date"])
    op.add_column("series", sa.Column("kind", sa.Text, nullable=False, server_default="image"))
    op.add_column("series", sa.Column("modality", sa.Text, nullable=False, server_default="CT"))
    op.add_column("series", sa.Column("attributes", JSONB, nullable=False, server_default="{}"))
    op.add_column("series", sa.Column("sealed_identity", sa.LargeBinary))
    op.alter_column("series", "facts", nullable=True)
    op.create_index("series_uid", "series", ["facility_id", "series_instance_uid"])
    # Files of an earlier version lie alone in their objects; their data set is read out of the file itself.
    op.execute("ALTER TABLE instances ADD COLUMN study_id uuid, ADD COLUMN upload_id uuid")
    op.execute("ALTER TABLE instances ADD COLUMN sop_class_uid text, ADD COLUMN transfer_syntax_uid text")
    op.execute("ALTER TABLE instances ADD COLUMN instance_number integer")
    op.execute('ALTER TABLE instances ADD COLUMN bucket text, ADD COLUMN "offset" bigint, ADD COLUMN length bigint')
    op.execute("ALTER TABLE instances ADD COLUMN header_offset bigint, ADD COLUMN header_length integer")
    op.execute("ALTER TABLE instances ALTER COLUMN index DROP NOT NULL")
    with unfenced("instances", "series"):
        op.execute("""
            UPDATE instances SET study_id = series.study_id, upload_id = split_part(key, '/', 2)::uuid,
                sop_class_uid = '1.2.840.10008.5.1.4.1.1.2', bucket = 'studies', "offset" = 0,
                transfer_syntax_uid = instances.facts->>'transfer_syntax_uid',
                instance_number = (instances.facts->>'instance_number')::integer,
                length = (instances.facts->>'bytes')::bigint, header_offset = 0, header_length = 0
            FROM series WHERE series.id = instances.series_id
        """)
    for name in (
        "study_id",
        "upload_id",
        "sop_class_uid",
        "transfer_syntax_uid",
        "bucket",
        "offset",
        "length",
        "header_offset",
        "header_length",
    ):
        op.alter_column("instances", name, nullable=False)
    op.add_column("instances", sa.Column("hu_key", sa.Text))
    op.add_column("instances", sa.Column("hu_offset", sa.BigInteger))
    op.add_column("instances", sa.Column("hu_length", sa.Integer))
    op.add_column("instances", sa.Column("sealed_identity", sa.LargeBinary))
    op.create_index("instances_study", "instances", ["study_id"])
    op.create_index("instances_uid", "instances", ["facility_id", "sop_instance_uid"])
    op.create_index("instances_waiting", "instances", ["study_id"], postgresql_where=sa.text("hu_key IS NOT NULL"))
    op.create_table(
        "study_terms",
        facility(primary_key=True),
        sa.Column("term", sa.BigInteger, primary_key=True),
        sa.Column("study_id", sa.Uuid, primary_key=True),
    )
    op.create_index("study_terms_study", "study_terms", ["study_id"])
    op.create_table(
        "facility_settings",
        facility(primary_key=True),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("others", sa.Text, nullable=False),
        sa.Column("quiet_s", sa.Integer, nullable=False),
        sa.Column("retention_days", sa.Integer),
        sa.Column("quota_bytes", sa.BigInteger),
        sa.Column("quota_studies", sa.Integer),
        sa.Column("quota_jobs", sa.Integer),
    )
    op.create_table(
        "destinations",
        sa.Column("id", sa.Uuid, primary_key=True),
        facility(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("sealed_credentials", sa.LargeBinary),
        sa.Column("view", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.UniqueConstraint("facility_id", "name"),
    )
    op.create_table(
        "deliveries",
        *job_columns(),
        sa.Column("destination_id", sa.Uuid, sa.ForeignKey("destinations.id", ondelete="CASCADE"), nullable=False),
        sa.Column("study_id", sa.Uuid, nullable=False),
        sa.Column("analysis_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("delivered_at", TIME),
        sa.UniqueConstraint("destination_id", "analysis_id"),
    )
    job_index("deliveries")
    op.create_table(
        "erasures",
        sa.Column("study_id", sa.Uuid, primary_key=True),
        facility(),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("done_at", TIME),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        facility(),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("study_id", sa.Uuid),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", JSONB, nullable=False),
        sa.UniqueConstraint("facility_id", "sequence"),
    )
    with unfenced("instances", "studies", "uploads", "upload_files"):
        op.execute("""
            UPDATE studies SET (instances, stored_bytes) = (
                SELECT count(*), coalesce(sum(length), 0) FROM instances WHERE instances.study_id = studies.id)
        """)
        op.execute("""
            UPDATE uploads SET stored_bytes = (
                SELECT coalesce(sum(size), 0) FROM upload_files WHERE upload_files.upload_id = uploads.id)
        """)
    fence("study_terms", "facility_settings", "destinations", "deliveries", "erasures", "audit")
