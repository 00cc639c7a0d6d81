"""When the token that fetched a ticket was issued: a refusal hits those that are older than it."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE ticket ADD COLUMN issued_at bigint NOT NULL DEFAULT 0")
