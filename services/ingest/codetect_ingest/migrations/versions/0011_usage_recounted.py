"""What facilities keep is counted anew: revision 0004 saw none of what was there before it."""

from alembic import op
from codetect_shared.migrations import unfenced

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Studies stand still meanwhile, so that what is being stored is counted once."""
    op.execute("LOCK TABLE studies IN SHARE ROW EXCLUSIVE MODE")
    with unfenced("facility_usage", "studies"):
        op.execute("DELETE FROM facility_usage")
        op.execute("""
            INSERT INTO facility_usage
            SELECT facility_id, count(*) FILTER (WHERE instances > 0), sum(stored_bytes) FROM studies
            GROUP BY facility_id
        """)
