"""What the model said of the top slices, kept with the result."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """One more column of results; older ones say it slice by slice only."""
    op.add_column("analyses", sa.Column("top_scores", JSONB, nullable=False, server_default="[]"))
