"""Coming in: access requests, invitations, terms, password resets, and who took which step when."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"

TIME = sa.DateTime(timezone=True)
REQUEST_STATES = "'unconfirmed', 'confirmed', 'approved', 'rejected', 'expired', 'superseded'"
INVITATION_STATES = "'open', 'accepted', 'revoked', 'expired'"
TERMS = """\
CoDetect is a research system. It is not a medical device, and not for clinical use.

By using it you agree
1. to send only studies that your facility may have processed here;
2. to keep your password and your second factor to yourself;
3. to look at who patients are only where your work needs it: each look is recorded;
4. that what you do here is recorded, with its time, and can be read by your facility's admins.
"""


def of_a_facility() -> list[sa.Column[Any]]:
    return [sa.Column("id", sa.Uuid, primary_key=True), sa.Column("facility_id", sa.Uuid, nullable=False)]


def created() -> sa.Column[Any]:
    return sa.Column("created_at", TIME, nullable=False, server_default=sa.func.clock_timestamp())


def one_open(table: str, state: str) -> None:
    """An address has one row in this state."""
    only = sa.text(f"state = '{state}'")
    op.create_index(f"{table}_{state}", table, ["facility_id", "email_key"], unique=True, postgresql_where=only)


def upgrade() -> None:
    op.add_column("facilities", sa.Column("mail_domains", JSONB, nullable=False, server_default="[]"))
    op.add_column("facilities", sa.Column("retention_days", sa.Integer))
    op.add_column("facilities", sa.Column("profile", sa.Text))
    op.add_column("facilities", sa.Column("settings_sequence", sa.Integer, nullable=False, server_default="0"))
    op.add_column("facilities", sa.Column("first_analysed_at", TIME))
    op.create_table(
        "access_requests",
        *aggregate_columns(),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", TIME, nullable=False),
        created(),
        sa.Column("changed_at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.CheckConstraint(f"state IN ({REQUEST_STATES})"),
    )
    one_open("access_requests", "confirmed")
    op.create_table(
        "invitations",
        *aggregate_columns(),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
        sa.Column("invited_by", sa.Uuid),
        sa.Column("inviter", sa.Text, nullable=False),
        sa.Column("request_id", sa.Uuid, sa.ForeignKey("access_requests.id"), unique=True),
        sa.Column("accepted_by", sa.Uuid, sa.ForeignKey("people.id")),
        created(),
        sa.Column("changed_at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.CheckConstraint(f"state IN ({INVITATION_STATES})"),
    )
    one_open("invitations", "open")
    op.create_table(
        "access_steps",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("about_id", sa.Uuid, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("was", sa.Text),
        sa.Column("now", sa.Text),
        sa.Column("by_id", sa.Uuid),
        sa.Column("by_role", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
    )
    op.create_index("access_steps_facility", "access_steps", ["facility_id", "id"])
    op.create_index("access_steps_about", "access_steps", ["about_id"])
    op.execute("""
        CREATE FUNCTION keep_steps() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'steps are kept as they were written'; END $$
    """)
    op.execute("CREATE TRIGGER keep BEFORE UPDATE OR DELETE ON access_steps FOR EACH ROW EXECUTE FUNCTION keep_steps()")
    op.create_table(
        "password_resets",
        *of_a_facility(),
        sa.Column("person_id", sa.Uuid, sa.ForeignKey("people.id"), nullable=False, index=True),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
        created(),
    )
    # Terms are the platform's, the same for all, and public.
    op.create_table(
        "terms",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("published_at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("published_by", sa.Uuid),
    )
    terms = sa.table("terms", sa.column("version", sa.Integer), sa.column("text", sa.Text))
    op.bulk_insert(terms, [{"version": 1, "text": TERMS}])
    op.create_table(
        "terms_acceptances",
        *of_a_facility(),
        sa.Column("person_id", sa.Uuid, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("version", sa.Integer, sa.ForeignKey("terms.version"), nullable=False),
        sa.Column("accepted_at", TIME, nullable=False, server_default=sa.func.clock_timestamp()),
        sa.UniqueConstraint("person_id", "version"),
    )
    fence("access_requests", "invitations", "access_steps", "password_resets", "terms_acceptances")
    op.add_column("api_clients", sa.Column("previous_hash", sa.LargeBinary))
    op.add_column("api_clients", sa.Column("previous_until", TIME))
    op.add_column("api_clients", sa.Column("rotated_at", TIME))
