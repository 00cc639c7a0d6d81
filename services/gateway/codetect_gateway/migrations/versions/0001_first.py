"""Tickets for sockets, and counters of requests: bookkeeping of the door itself, no facility's data.

Unlogged: after a crash of Postgres both are empty, which costs a client a second ticket.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE UNLOGGED TABLE ticket (
            hash bytea PRIMARY KEY,
            facility_id uuid NOT NULL,
            slug text NOT NULL,
            subject text NOT NULL,
            session_id uuid,
            token_expires_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL
        )
    """)
    op.execute("CREATE INDEX ticket_expiry ON ticket (expires_at)")
    op.execute("""
        CREATE UNLOGGED TABLE rate_count (
            minute bigint,
            key text,
            n integer NOT NULL,
            PRIMARY KEY (minute, key)
        ) WITH (fillfactor = 50)
    """)
