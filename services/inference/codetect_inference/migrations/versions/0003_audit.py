"""What is done with analyses and who looks at them is written down."""

from codetect_shared.migrations import create_audit

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    create_audit("inference")
