"""Studies that were erased, and the ways to find what was told of them."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, index_studies

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("study_id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
    )
    fence("erasures")
    index_studies("events")
