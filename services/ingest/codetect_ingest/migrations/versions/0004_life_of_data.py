"""Erasing in steps, forgetting, usage counted as it changes, and the indexes that these need."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, unfenced

revision = "0004"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)

# Deferred, so that the facility's one row is the last that a transaction locks: none can wait for another in a circle.
COUNT_USAGE = """
    CREATE FUNCTION count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        facility uuid;
        more_studies integer := 0;
        more_bytes bigint := 0;
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            facility := NEW.facility_id;
            more_studies := (NEW.instances > 0)::integer;
            more_bytes := NEW.stored_bytes;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            facility := OLD.facility_id;
            more_studies := more_studies - (OLD.instances > 0)::integer;
            more_bytes := more_bytes - OLD.stored_bytes;
        END IF;
        IF more_studies <> 0 OR more_bytes <> 0 THEN
            INSERT INTO facility_usage AS known (facility_id, studies, bytes)
            VALUES (facility, more_studies, more_bytes)
            ON CONFLICT (facility_id) DO UPDATE
            SET studies = known.studies + excluded.studies, bytes = known.bytes + excluded.bytes;
        END IF;
        RETURN NULL;
    END $$
"""
COUNT_TRIGGER = """
    CREATE CONSTRAINT TRIGGER count_usage AFTER INSERT OR UPDATE OF instances, stored_bytes OR DELETE ON studies
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION count_usage()
"""


def upgrade() -> None:
    op.alter_column("erasures", "requested_at", server_default=sa.func.clock_timestamp())
    op.add_column("erasures", sa.Column("emptied_at", TIME))
    op.add_column("erasures", sa.Column("reclaimed_at", TIME))
    op.create_index("erasures_open", "erasures", ["requested_at"], postgresql_where=sa.text("done_at IS NULL"))
    unreclaimed = sa.text("reclaimed_at IS NULL")
    op.create_index("erasures_unreclaimed", "erasures", ["emptied_at"], postgresql_where=unreclaimed)
    op.add_column("facility_settings", sa.Column("forgetting", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "facility_usage",
        sa.Column("facility_id", sa.Uuid, primary_key=True),
        sa.Column("studies", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    fence("facility_usage")
    with unfenced("facility_usage", "studies"):
        op.execute("""
            INSERT INTO facility_usage
            SELECT facility_id, count(*) FILTER (WHERE instances > 0), sum(stored_bytes) FROM studies
            GROUP BY facility_id
        """)
    op.execute(COUNT_USAGE)
    op.execute(COUNT_TRIGGER)
    op.create_index("studies_created", "studies", ["facility_id", "created_at"])
    sealed = sa.text("sealed_identity IS NOT NULL")
    op.create_index("studies_sealed", "studies", ["facility_id", "id"], postgresql_where=sealed)
    op.create_index("studies_empty", "studies", ["created_at"], postgresql_where=sa.text("instances = 0"))
    linked = sa.text("study_id IS NOT NULL")
    op.create_index("upload_files_study", "upload_files", ["study_id"], postgresql_where=linked)
    op.create_index("deliveries_study", "deliveries", ["study_id"])
    op.create_index("outbox_subject", "outbox", ["subject"], postgresql_where=sa.text("queue IS NULL"))
