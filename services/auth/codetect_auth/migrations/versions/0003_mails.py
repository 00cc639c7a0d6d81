"""Mails that wait to be sent, and what became of those before."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, job_columns, job_index

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "mails",
        *job_columns(),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("sealed_letter", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False, server_default="queued"),
        sa.Column("error", sa.Text),
        sa.Column("created_at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("sent_at", TIME),
        sa.UniqueConstraint("facility_id", "cause"),
    )
    job_index("mails")
    fence("mails")
