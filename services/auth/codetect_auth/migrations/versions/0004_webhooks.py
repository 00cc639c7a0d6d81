"""Webhooks: endpoints, deliveries, tries."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, job_columns, job_index
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)
NOW = sa.func.clock_timestamp()


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False, index=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("types", JSONB, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("sealed_old_secret", sa.LargeBinary),
        sa.Column("old_until", TIME),
        sa.Column("paused_until", TIME),
        sa.Column("failing_since", TIME),
        sa.Column("created_by", sa.Uuid, nullable=False),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
    )
    endpoint = sa.ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    op.create_table(
        "webhook_deliveries",
        *job_columns(),
        sa.Column("endpoint_id", sa.Uuid, endpoint, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("study_id", sa.Uuid, index=True),
        sa.Column("body", JSONB(none_as_null=True)),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW, index=True),
        sa.Column("delivered_at", TIME),
        sa.UniqueConstraint("endpoint_id", "message_id"),
    )
    job_index("webhook_deliveries")
    delivery = sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE")
    op.create_table(
        "webhook_tries",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("delivery_id", sa.Uuid, delivery, nullable=False, index=True),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("took_ms", sa.Integer, nullable=False),
    )
    fence("webhook_endpoints", "webhook_deliveries", "webhook_tries")
