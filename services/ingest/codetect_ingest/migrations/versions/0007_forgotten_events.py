"""Events of erased studies are forgotten by a key of the erasure's own; studies erased before get one, too."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import index_studies

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    random = sa.text("uuid_send(gen_random_uuid())")
    op.add_column("erasures", sa.Column("events_key", sa.LargeBinary, server_default=random))
    op.create_index(
        "erasures_unforgotten", "erasures", ["study_id"], postgresql_where=sa.text("events_key IS NOT NULL")
    )
    op.drop_index("outbox_subject", "outbox")
    index_studies("outbox")
