"""Whether a facility's people may work, as auth told; and numbers for what is told of its settings."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, fence

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "facilities",
        *aggregate_columns(),
        sa.Column("suspended", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("heard_sequence", sa.Integer, nullable=False, server_default="0"),
        sa.CheckConstraint("facility_id = id"),
    )
    fence("facilities")
