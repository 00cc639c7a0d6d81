"""A coverage plugin: from SIGUSR1 on, what runs counts for the context `submit` (used by `make path`)."""

import signal
from types import FrameType
from typing import Any

from coverage import Coverage


def coverage_init(_: Any, __: dict[str, Any]) -> None:
    """Listen for the signal in every process that coverage starts in."""

    def switch(number: int, frame: FrameType | None) -> None:
        running = Coverage.current()
        if running is not None:
            running.switch_context("submit")

    signal.signal(signal.SIGUSR1, switch)
