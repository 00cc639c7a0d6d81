"""The mailer: what it knows of a mail on its way, the mail server's state, choices, groups, addresses without a box."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import fence

revision = "0007"
down_revision = "0006"

TIME = sa.DateTime(timezone=True)


def now(name: str) -> sa.Column[Any]:
    return sa.Column(name, TIME, nullable=False, server_default=sa.func.clock_timestamp())


def person() -> sa.Column[Any]:
    key = sa.ForeignKey("people.id", ondelete="CASCADE")
    return sa.Column("person_id", sa.Uuid, key, primary_key=True)


def upgrade() -> None:
    op.add_column("mails", sa.Column("address_key", sa.LargeBinary))
    op.add_column("mails", sa.Column("handovers", sa.Integer, nullable=False, server_default="0"))
    op.add_column("mails", sa.Column("tried_at", TIME))
    op.add_column("mails", sa.Column("handed_over_at", TIME))
    op.create_index("mails_address", "mails", ["address_key", "tried_at"])
    op.create_index("mails_facility", "mails", ["facility_id", "tried_at"])
    op.create_table(
        "mail_server",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retry_at", TIME),
        sa.Column("trying_until", TIME),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("id = 1"),
    )
    op.execute("INSERT INTO mail_server (id) VALUES (1)")
    op.create_table(
        "mail_preferences",
        person(),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("analyses", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        now("changed_at"),
    )
    op.create_table(
        "result_groups",
        person(),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", TIME),
        sa.Column("asked_at", TIME),
    )
    op.create_index("result_groups_due", "result_groups", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "undeliverable_addresses",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("address_key", sa.LargeBinary, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("mail_id", sa.Uuid),
        now("created_at"),
        sa.UniqueConstraint("facility_id", "address_key"),
    )
    fence("mail_preferences", "result_groups", "undeliverable_addresses")
