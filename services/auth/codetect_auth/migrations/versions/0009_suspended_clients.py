"""API clients can be suspended, and taken up again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("api_clients", sa.Column("suspended_at", sa.DateTime(timezone=True)))
