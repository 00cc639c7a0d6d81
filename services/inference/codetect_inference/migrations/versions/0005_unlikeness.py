"""How unlike a model's training data a study is."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """One more column of results; older ones don't know."""
    op.add_column("analyses", sa.Column("unlikeness", sa.Float))
