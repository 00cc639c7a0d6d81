"""Documents of results; studies that are erased."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, index_studies
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("analyses", sa.Column("documents", JSONB, nullable=False, server_default="[]"))
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
    )
    fence("erasures")
    index_studies("outbox")
