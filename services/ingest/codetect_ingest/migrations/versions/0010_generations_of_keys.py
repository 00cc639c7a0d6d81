"""A facility's key has generations; facilities are known by their slug, too, from now on."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    # The default is for processes of the version before, which run until they are replaced.
    op.add_column("facility_keys", sa.Column("generation", sa.Integer, nullable=False, server_default="1"))
    op.drop_constraint("facility_keys_pkey", "facility_keys")
    op.create_primary_key("facility_keys_pkey", "facility_keys", ["facility_id", "generation"])
    op.add_column("facilities", sa.Column("slug", sa.Text))
