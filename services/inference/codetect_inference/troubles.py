"""Models that could not be loaded: whether that may pass, and when to try again."""

from __future__ import annotations

import time
from dataclasses import dataclass

FIRST_S, LONGEST_S = 10.0, 120.0  # from one try to the next; each failure doubles it
# What ONNX Runtime's and Python's exceptions say when the machine lacks memory or threads, in lower case.
SHORT = ("bad_alloc", "failed to allocate", "alloc_failed", "out of memory", "start new thread", "temporarily unavail")


@dataclass(frozen=True)
class Trouble:
    """`passing`: nothing is wrong with the model itself. `until`: by time.monotonic()."""

    passing: bool
    delay_s: float
    until: float


class Troubles:
    """The last trouble of each version, by the hash of its bundle.json."""

    def __init__(self) -> None:
        self._last: dict[str, Trouble] = {}

    def note(self, sha256: str, passing: bool) -> float:
        """Remember one more; the seconds until the next try."""
        before = self._last.get(sha256)
        delay_s = min(2 * before.delay_s, LONGEST_S) if before else FIRST_S
        self._last[sha256] = Trouble(passing, delay_s, time.monotonic() + delay_s)
        return delay_s

    def over(self, sha256: str) -> None:
        """It could be loaded."""
        self._last.pop(sha256, None)

    def passing(self, sha256: str) -> bool:
        """Whether a version isn't loaded only because of what may pass."""
        return sha256 in self._last and self._last[sha256].passing

    def wait_s(self, sha256: str) -> float:
        """Seconds until its next try; 0 when it is due."""
        return max(0.0, self._last[sha256].until - time.monotonic()) if sha256 in self._last else 0.0


def may_pass(error: Exception) -> bool:
    """Whether it is this machine that can't load a model now, for want of disk, network, memory or threads."""
    return isinstance(error, OSError | MemoryError) or any(word in str(error).lower() for word in SHORT)
