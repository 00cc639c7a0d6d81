"""Events and the cursor. The figures' schema is made by the projector (see rebuild.py), not here."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False, unique=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", JSONB, nullable=False),
    )
    fence("events")
    cursor = op.create_table(
        "cursor",
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("anchor", sa.Uuid),
        sa.Column("figures_version", sa.Integer, nullable=False),
    )
    op.create_index("cursor_one_row", "cursor", [sa.text("(true)")], unique=True)
    op.bulk_insert(cursor, [{"epoch": 0, "offset": -1, "anchor": None, "figures_version": 0}])
