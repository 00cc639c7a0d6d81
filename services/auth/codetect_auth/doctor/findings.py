"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check: how it stands, in a sentence, and what to do about it."""

    name: str
    health: Health
    says: str
    do: str = ""


def ok(name: str, says: str) -> Finding:
    """All is well."""
    return Finding(name, Health.OK, says)


def warn(name: str, says: str, do: str) -> Finding:
    """It works, or can't be seen from here, but could be better."""
    return Finding(name, Health.WARN, says, do)


def fail(name: str, says: str, do: str) -> Finding:
    """It doesn't work."""
    return Finding(name, Health.FAIL, says, do)
