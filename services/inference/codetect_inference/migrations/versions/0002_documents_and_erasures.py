"""Documents of results; studies that are erased."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("analyses", sa.Column("documents", sa.dialects.postgresql.JSONB, nullable=False, server_default="[]"))
