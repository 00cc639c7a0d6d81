"""Notes on studies."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """No foreign key: a study is erased by an event, and notes with it."""
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("study_id", sa.Uuid, nullable=False),
        sa.Column("writer", sa.Uuid, nullable=False),
        sa.Column("sealed_text", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("clock_timestamp()")),
    )
    op.create_index("notes_study", "notes", ["study_id", "at"])
    fence("notes")
