"""Facilities, people, factors, logins, API clients, signing keys, throttle."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from codetect_shared.migrations import aggregate_columns, create_messaging, fence
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def facility_columns() -> list[sa.Column[Any]]:
    return [sa.Column("id", sa.Uuid, primary_key=True), sa.Column("facility_id", sa.Uuid, nullable=False)]


def person_columns() -> list[sa.Column[Any]]:
    person = sa.Column("person_id", sa.Uuid, sa.ForeignKey("people.id"), nullable=False, index=True)
    return [*facility_columns(), person]


def created() -> sa.Column[Any]:
    return sa.Column("created_at", TIME, nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    create_messaging()
    op.create_table(
        "facilities",
        *aggregate_columns(),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        created(),
        sa.CheckConstraint("facility_id = id"),
        sa.CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'"),
    )
    op.create_table(
        "people",
        *aggregate_columns(),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        created(),
        sa.UniqueConstraint("facility_id", "email_key"),
    )
    op.create_table(
        "totp_factors",
        *person_columns(),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        created(),
    )
    op.create_table(
        "recovery_codes",
        *person_columns(),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("used_at", TIME),
    )
    op.create_table(
        "login_challenges",
        *person_columns(),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("sealed_secret", sa.LargeBinary),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )
    op.create_table(
        "sessions",
        *person_columns(),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        created(),
        sa.Column("used_at", TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("end_reason", sa.Text),
    )
    session = sa.ForeignKey("sessions.id", ondelete="CASCADE")
    op.create_table(
        "refresh_tokens",
        *facility_columns(),
        sa.Column("session_id", sa.Uuid, session, nullable=False, index=True),
        sa.Column("parent_id", sa.Uuid),
        sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )
    op.create_table(
        "api_clients",
        *facility_columns(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scopes", JSONB, nullable=False),
        sa.Column("created_by", sa.Uuid, sa.ForeignKey("people.id")),
        created(),
        sa.Column("expires_at", TIME),
        sa.Column("revoked_at", TIME),
    )
    fence(
        "facilities",
        "people",
        "totp_factors",
        "recovery_codes",
        "login_challenges",
        "sessions",
        "refresh_tokens",
        "api_clients",
    )
    # Which facilities there are is public (GET /api/v1/facility); writing one still needs its own setting.
    op.execute("CREATE POLICY directory ON facilities FOR SELECT USING (true)")
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("sealed_private", sa.LargeBinary, nullable=False),
        sa.Column("public_jwk", JSONB, nullable=False),
        sa.Column("signs_from", TIME, nullable=False),
        sa.Column("verifies_until", TIME),
        sa.Column("revoked_at", TIME),
    )
    op.create_table(
        "throttle",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("touched_at", TIME, nullable=False),
    )
