"""Passkeys, names of factors, when somebody last proved themselves, and whose tokens are refused."""

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True)
NOW = sa.func.clock_timestamp()


def upgrade() -> None:
    op.add_column("totp_factors", sa.Column("name", sa.Text, nullable=False, server_default="Authenticator app"))
    op.add_column("totp_factors", sa.Column("used_at", TIME))
    op.add_column("sessions", sa.Column("sequence", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("proven_at", TIME, nullable=False, server_default=NOW))
    person = sa.ForeignKey("people.id")
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("person_id", sa.Uuid, person, nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("credential_id", sa.LargeBinary, nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("transports", JSONB, nullable=False),
        sa.Column("created_at", TIME, nullable=False, server_default=NOW),
        sa.Column("used_at", TIME),
        sa.UniqueConstraint("facility_id", "credential_id"),
    )
    op.create_table(
        "passkey_challenges",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("challenge", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("bound_to", sa.Uuid),
        sa.Column("expires_at", TIME, nullable=False, index=True),
    )
    op.create_table(
        "refusals",
        *aggregate_columns(),
        sa.Column("subject", sa.Uuid),
        sa.Column("session_id", sa.Uuid),
        sa.Column("since", sa.BigInteger, nullable=False, index=True),
    )
    fence("passkeys", "passkey_challenges", "refusals")
