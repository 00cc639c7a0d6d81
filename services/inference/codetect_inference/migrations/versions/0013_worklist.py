"""The worklist: what analyses are found by, in the order they are shown; and views that people keep."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence, unfenced

revision = "0013"
down_revision = "0012"

# Below row-level security no index on an array is used (its operators aren't leakproof): what is in arrays gets rows.
MARKS = """
    SELECT facility_id, 'tag' AS kind, tag AS value, id FROM {these}, unnest(tags) AS tag
    UNION SELECT facility_id, 'finding', label, id FROM {these}, unnest(positive) AS label
    UNION SELECT facility_id, 'any_finding', '', id FROM {these} WHERE positive <> '{{}}'
"""


def upgrade() -> None:
    # At once what `unfenced` asks for in the end: asked for step by step, it and those at work could block each other.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("LOCK TABLE analyses IN ACCESS EXCLUSIVE MODE")
    for name, columns in (
        ("status", ["facility_id", "status", "created_at", "id"]),
        ("priority", ["facility_id", "priority", "created_at", "id"]),
        ("submitter", ["facility_id", "submitted_by", "created_at", "id"]),
    ):
        op.create_index(f"analyses_{name}", "analyses", columns)
    filed = sa.text("folder IS NOT NULL")
    op.create_index(
        "analyses_folder", "analyses", ["facility_id", "folder", "created_at", "id"], postgresql_where=filed
    )
    _marks()
    op.create_table(
        "views",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("owner", sa.Uuid, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("filters", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("facility_id", "owner", "name"),
    )
    fence("views")


def _marks() -> None:
    op.create_table(
        "analysis_marks",
        sa.Column("facility_id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("analysis_id", sa.Uuid, sa.ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("analysis_marks_analysis", "analysis_marks", ["analysis_id"])
    with unfenced("analyses"):
        op.execute("INSERT INTO analysis_marks " + MARKS.format(these="analyses"))
    fence("analysis_marks")
    op.execute(f"""
        CREATE FUNCTION mark_analysis() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            DELETE FROM analysis_marks WHERE analysis_id = NEW.id;
            INSERT INTO analysis_marks {MARKS.format(these="(SELECT NEW.*) AS new")};
            RETURN NULL;
        END $$
    """)  # noqa: S608 - constants
    op.execute("""
        CREATE TRIGGER marked AFTER INSERT ON analyses FOR EACH ROW
        WHEN (NEW.tags <> '{}' OR NEW.positive <> '{}') EXECUTE FUNCTION mark_analysis()
    """)
    op.execute("""
        CREATE TRIGGER marked_anew AFTER UPDATE OF tags, positive ON analyses FOR EACH ROW
        WHEN (NEW.tags IS DISTINCT FROM OLD.tags OR NEW.positive IS DISTINCT FROM OLD.positive)
        EXECUTE FUNCTION mark_analysis()
    """)
