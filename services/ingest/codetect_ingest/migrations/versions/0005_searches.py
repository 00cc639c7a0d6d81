"""Indexes for searches: whether any study has no identity, series by modality."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    unsealed = sa.text("sealed_identity IS NULL AND instances > 0")
    op.create_index("studies_unsealed", "studies", ["facility_id"], postgresql_where=unsealed)
    op.create_index("series_modality", "series", ["facility_id", "modality"])
