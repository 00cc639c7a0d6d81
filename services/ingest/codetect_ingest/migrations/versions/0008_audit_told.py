"""Audit rows say more, are told to auth, and are neither changed nor removed."""

from codetect_shared.migrations import widen_audit

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    widen_audit("ingest")
