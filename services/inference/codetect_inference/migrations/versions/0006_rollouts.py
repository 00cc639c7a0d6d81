"""Several versions of a model at once: who signed them, which serve where, and what shadows find."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("models", sa.Column("signed_by", sa.Text))
    op.add_column("analyses", sa.Column("preprocessing", JSONB))
    op.add_column("analyses", sa.Column("shadow_for", sa.Uuid))
    op.create_index("analyses_shadows", "analyses", ["model_id"], postgresql_where=sa.text("shadow_for IS NOT NULL"))
    time = sa.DateTime(timezone=True)
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("for_facility", sa.Uuid),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("model_id", sa.Uuid, sa.ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
        sa.Column("share", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("ended_at", time),
        sa.CheckConstraint("share BETWEEN 0 AND 100"),
    )
    # One shadow and one canary at a time, at one place.
    op.create_index(
        "rollouts_candidate",
        "rollouts",
        ["name", "kind", sa.text("coalesce(for_facility, '00000000-0000-0000-0000-000000000000')")],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND kind <> 'active'"),
    )
    # The newest active version of a name served; those before it lie below. Even the owner is fenced: for a moment not.
    op.execute("ALTER TABLE models NO FORCE ROW LEVEL SECURITY")
    op.execute("""
        INSERT INTO rollouts (id, facility_id, name, kind, model_id, created_at)
        SELECT gen_random_uuid(), facility_id, name, 'active', id, created_at FROM models WHERE active
    """)
    op.execute("ALTER TABLE models FORCE ROW LEVEL SECURITY")
    # A facility sees what holds for all and for itself; only the operator's changes anything.
    mine = "facility_id = nullif(current_setting('codetect.facility', true), '')::uuid"
    op.execute("ALTER TABLE rollouts ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE rollouts FORCE ROW LEVEL SECURITY")
    for_mine = mine.replace("facility_id", "for_facility", 1)
    op.execute(
        f"CREATE POLICY concerned_reads ON rollouts FOR SELECT USING (for_facility IS NULL OR {mine} OR {for_mine})"
    )
    op.execute(f"CREATE POLICY entered_by_mine ON rollouts FOR INSERT WITH CHECK ({mine})")
    op.execute(f"CREATE POLICY changed_by_mine ON rollouts FOR UPDATE USING ({mine}) WITH CHECK ({mine})")
