"""Logins of browsers: who has the cookie acts with the tokens, which are sealed."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE browser_session (
            hash bytea PRIMARY KEY,
            slug text NOT NULL,
            sealed_tokens bytea NOT NULL,
            token_expires_at timestamptz NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX browser_session_expiry ON browser_session (token_expires_at)")
