"""What each result cost."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Columns of results; older ones don't know."""
    for name in ("cpu_ms", "gpu_ms", "bytes_read", "bytes_written"):
        op.add_column("analyses", sa.Column(name, sa.BigInteger))
