"""How what models are given, and what they say, is spread; what drifted; the days on which somebody looked."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, fence
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Counts name no study: they outlive it."""
    op.create_table(
        "watched",
        sa.Column("facility_id", sa.Uuid, primary_key=True),
        sa.Column("model_name", sa.Text, primary_key=True),
        sa.Column("model_version", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("shadow", sa.Boolean, primary_key=True),
        sa.Column("bins", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("studies", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "drifts",
        *aggregate_columns(),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("measure", sa.Text, nullable=False),
        sa.Column("band", sa.Text, nullable=False),
        sa.Column("told", sa.Text),
        sa.Column("psi", sa.Float, nullable=False),
        sa.Column("studies", sa.BigInteger, nullable=False),
        sa.Column("since", sa.Date, nullable=False),
        sa.Column("looked_on", sa.Date, nullable=False),
        sa.UniqueConstraint("facility_id", "model_name", "model_version", "measure"),
    )
    fence("watched", "drifts")
    op.create_table("looks", sa.Column("day", sa.Date, primary_key=True))
