"""Whom analytics refuses something is written down, and told: so it has an outbox now."""

from codetect_shared.migrations import create_audit, create_messaging

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_messaging()
    create_audit("analytics")
