"""A result is superseded by another result, or by newer images; an analysis without one stands beside it."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import unfenced

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """One visible result as before, and one visible analysis without; results that a failure had hidden show again."""
    op.drop_index("analyses_current", "analyses")
    op.create_index(
        "analyses_current",
        "analyses",
        ["facility_id", "study_id", "model_name", sa.text("(status = 'completed')")],
        unique=True,
        postgresql_where=sa.text("NOT superseded"),
    )
    with unfenced("analyses"):
        op.execute("""
            UPDATE analyses AS found SET superseded = false
            FROM analyses AS standing
            WHERE found.superseded AND found.status = 'completed'
              AND NOT standing.superseded AND standing.status <> 'completed'
              AND (standing.facility_id, standing.study_id, standing.study_version, standing.model_name)
                = (found.facility_id, found.study_id, found.study_version, found.model_name)
              AND NOT EXISTS (
                  SELECT FROM analyses AS newer
                  WHERE newer.status = 'completed' AND (newer.created_at, newer.id) > (found.created_at, found.id)
                    AND (newer.facility_id, newer.study_id, newer.study_version, newer.model_name)
                      = (found.facility_id, found.study_id, found.study_version, found.model_name)
              )
        """)
