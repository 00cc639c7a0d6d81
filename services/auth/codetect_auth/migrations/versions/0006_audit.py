"""What is done in auth is written down; everybody's audit rows are chained."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import append_only, create_audit, fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)
NOW = sa.func.clock_timestamp()


def facility(*, primary_key: bool = True) -> sa.Column[UUID]:
    return sa.Column("facility_id", sa.Uuid, nullable=False, primary_key=primary_key)


def out_of_record(name: str, kind: type[sa.Text | sa.Integer] = sa.Text, member: str = "") -> sa.Column[str | int]:
    """What is searched by can't say anything else than what is hashed."""
    value = f"record ->> '{member or name}'"
    sql = f"({value})::integer" if kind is sa.Integer else value
    return sa.Column(name, kind, sa.Computed(sql, persisted=True))


def upgrade() -> None:
    create_audit("auth")
    op.create_table(
        "audit_chain",
        facility(),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("record", JSONB, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("chained_at", TIME, nullable=False, server_default=NOW),
        out_of_record("service"),
        out_of_record("sequence", sa.Integer, "number"),
        *map(out_of_record, ("at", "subject", "action", "outcome", "target", "study_id")),
        sa.UniqueConstraint("facility_id", "event_id"),
    )
    for by in ("subject", "action", "study_id", "target"):
        op.create_index(f"audit_chain_{by}", "audit_chain", ["facility_id", by, "number"])
    op.create_index("audit_chain_at", "audit_chain", ["facility_id", "at"])
    op.create_index("audit_chain_source", "audit_chain", ["facility_id", "service", "sequence"])
    op.create_table(
        "audit_heads",
        facility(),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("start_hash", sa.LargeBinary, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("sources", JSONB, nullable=False),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
    )
    op.create_table(
        "audit_held",
        facility(),
        sa.Column("service", sa.Text, primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("record", JSONB, nullable=False),
        sa.Column("at", TIME, nullable=False, server_default=NOW),
    )
    op.create_table(
        "audit_findings",
        sa.Column("id", sa.Uuid, primary_key=True),
        facility(primary_key=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("found_at", TIME, nullable=False, server_default=NOW),
        sa.Column("closed_at", TIME),
    )
    op.create_index(
        "audit_findings_open", "audit_findings", ["facility_id"], postgresql_where=sa.text("closed_at IS NULL")
    )
    fence("audit_chain", "audit_heads", "audit_held", "audit_findings")
    append_only("audit_chain")
