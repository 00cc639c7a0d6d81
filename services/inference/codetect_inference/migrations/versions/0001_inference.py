"""Models, studies, analyses, removals."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, create_messaging, fence, job_columns, job_index
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_messaging()
    op.create_table(
        "models",
        *aggregate_columns(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("manifest", JSONB, nullable=False),
        sa.UniqueConstraint("name", "version"),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("upload_id", sa.Uuid, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("series", JSONB, nullable=False),
        sa.Column("erased", sa.Boolean, nullable=False),
    )
    op.create_table(
        "analyses",
        *job_columns(),
        sa.Column("study_id", sa.Uuid, sa.ForeignKey("studies.id"), nullable=False),
        sa.Column("study_version", sa.Integer, nullable=False),
        sa.Column("upload_id", sa.Uuid, nullable=False),
        sa.Column("model_id", sa.Uuid, sa.ForeignKey("models.id")),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("model_sha256", sa.Text),
        sa.Column("model_title", sa.Text),
        sa.Column("superseded", sa.Boolean, nullable=False),
        sa.Column("series", JSONB),
        sa.Column("series_reason", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("submitted_at", TIME, nullable=False),
        sa.Column("queued_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("upload_ms", sa.BigInteger),
        sa.Column("import_ms", sa.BigInteger),
        sa.Column("queued_ms", sa.BigInteger),
        sa.Column("inference_ms", sa.BigInteger),
        sa.Column("total_ms", sa.BigInteger),
        sa.Column("slices_total", sa.Integer, nullable=False),
        sa.Column("slices_done", sa.Integer, nullable=False),
        sa.Column("slices_analysed", sa.Integer),
        sa.Column("findings", JSONB, nullable=False),
        sa.Column("positive", ARRAY(sa.Text), nullable=False),
        sa.Column("warnings", JSONB, nullable=False),
        sa.Column("top_slices", JSONB, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("maps_key", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("error_detail", sa.Text),
        sa.Column("tags", ARRAY(sa.Text), nullable=False),
        sa.Column("folder", sa.Text),
        sa.UniqueConstraint("facility_id", "study_id", "study_version", "model_name", "model_version"),
    )
    job_index("analyses")
    op.create_index("analyses_created", "analyses", ["facility_id", "created_at", "id"])
    op.create_index("analyses_finished", "analyses", ["facility_id", "finished_at", "id"])
    op.create_index("analyses_upload", "analyses", ["facility_id", "upload_id"])
    # One visible result for a study and a model.
    op.create_index(
        "analyses_current",
        "analyses",
        ["facility_id", "study_id", "model_name"],
        unique=True,
        postgresql_where=sa.text("NOT superseded"),
    )
    op.create_table(
        "removals",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    fence("studies", "analyses", "removals")
    # Models serve every facility; only the operator's, who registered one, may change it.
    mine = "facility_id = nullif(current_setting('codetect.facility', true), '')::uuid"
    op.execute("ALTER TABLE models ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE models FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY everyone_reads ON models FOR SELECT USING (true)")
    op.execute(f"CREATE POLICY registered_by_mine ON models FOR INSERT WITH CHECK ({mine})")
    op.execute(f"CREATE POLICY changed_by_mine ON models FOR UPDATE USING ({mine}) WITH CHECK ({mine})")
