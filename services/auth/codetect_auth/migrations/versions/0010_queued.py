"""What the outbox told single queues is found by when it was sent."""

from codetect_shared.migrations import index_queued

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    index_queued()
