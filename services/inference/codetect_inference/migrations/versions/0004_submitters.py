"""Who sent a study, so that the mailer can tell them how its analysis ended."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in ("studies", "analyses"):
        op.add_column(table, sa.Column("submitted_by", sa.Uuid))
