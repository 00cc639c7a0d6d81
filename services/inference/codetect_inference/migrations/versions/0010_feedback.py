"""What readers say of findings: opinions with their history, decisions, and the key that seals what they write."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"

TIME = sa.DateTime(timezone=True)
NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    """Feedback goes with its analysis, opinions and rulings with their feedback."""
    op.add_column("studies", sa.Column("study_instance_uid", sa.Text))
    op.create_table(
        "facility_keys",
        sa.Column("facility_id", sa.Uuid, primary_key=True),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "feedback",
        *aggregate_columns(),
        sa.Column("analysis_id", sa.Uuid, sa.ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("model_says", sa.Text, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("says", sa.Text),
        sa.Column("readers", sa.Integer, nullable=False),
        sa.Column("opened_at", TIME, nullable=False, server_default=NOW),
        sa.Column("decided_at", TIME),
        sa.UniqueConstraint("analysis_id", "label"),
    )
    op.create_index("feedback_state", "feedback", ["facility_id", "state", "id"])
    op.create_table(
        "opinions",
        *saying(),
        sa.Column("superseded", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "rulings",
        *saying(),
        sa.Column("reopened_at", TIME),
        sa.Column("reopened_by", sa.Uuid),
    )
    # One person's newest opinion counts; one decision is in force.
    op.create_index(
        "opinions_newest",
        "opinions",
        ["feedback_id", "reader"],
        unique=True,
        postgresql_where=sa.text("NOT superseded"),
    )
    op.create_index(
        "rulings_in_force",
        "rulings",
        ["feedback_id"],
        unique=True,
        postgresql_where=sa.text("reopened_at IS NULL"),
    )
    for table in ("opinions", "rulings"):
        op.create_index(f"{table}_feedback", table, ["feedback_id"])
    fence("facility_keys", "feedback", "opinions", "rulings")


def saying() -> list[sa.Column[Any]]:
    """What somebody said of a finding."""
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("feedback_id", sa.Uuid, sa.ForeignKey("feedback.id", ondelete="CASCADE"), nullable=False),
        sa.Column("reader", sa.Uuid, nullable=False),
        sa.Column("says", sa.Text, nullable=False),
        sa.Column("slices", JSONB, nullable=False),
        sa.Column("place_mm", JSONB),
        sa.Column("sealed_comment", sa.LargeBinary),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
    ]
