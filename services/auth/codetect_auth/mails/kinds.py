"""What mails are about, and what each kind may be told: a mail never holds more than that."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from codetect_shared.jobs import ROUTINE, URGENT

LONGEST = 1000


class Kind(StrEnum):
    """What a mail is about; each kind has its own words."""

    CONFIRM_ADDRESS = "confirm_address"  # to who asked for access: url
    ACCESS_REQUESTED = "access_requested"  # to the admins: name, email, role, reason, url
    ACCESS_REFUSED = "access_refused"  # to who asked: reason
    INVITATION = "invitation"  # to who may come in: url, invited_by
    WELCOME = "welcome"  # to who came in, with the first second factor: url
    PASSWORD_RESET = "password_reset"  # noqa: S105 - to the person: url
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - to the person: address, device
    FACTOR_CHANGED = "factor_changed"  # to the person: what (added, removed, recovery codes), name
    FACTORS_RESET = "factors_reset"  # to the person, the admins, for some the operators: name, by, reason
    RECOVERY_CODE_USED = "recovery_code_used"  # to the person: left
    MEMBER_CHANGED = "member_changed"  # to the person: what (role, rights, suspended, active, removed), by
    API_CLIENT_CHANGED = "api_client_changed"  # to its owner: client, what (created, rotated, suspended, revoked ...)
    ANALYSIS_COMPLETED = "analysis_completed"  # to who wanted to know: url, model, completed_at
    ANALYSES_COMPLETED = "analyses_completed"  # likewise, several at once: url, count
    ANALYSES_FAILED = "analyses_failed"  # likewise: url, count
    TEST = "test"  # to an address of the operator's


FACTS: dict[Kind, frozenset[str]] = {
    Kind.CONFIRM_ADDRESS: frozenset({"url"}),
    Kind.ACCESS_REQUESTED: frozenset({"name", "email", "role", "reason", "url"}),
    Kind.ACCESS_REFUSED: frozenset({"reason"}),
    Kind.INVITATION: frozenset({"url", "invited_by"}),
    Kind.WELCOME: frozenset({"url"}),
    Kind.PASSWORD_RESET: frozenset({"url"}),
    Kind.PASSWORD_CHANGED: frozenset({"address", "device"}),
    Kind.FACTOR_CHANGED: frozenset({"what", "name"}),
    Kind.FACTORS_RESET: frozenset({"name", "by", "reason"}),
    Kind.RECOVERY_CODE_USED: frozenset({"left"}),
    Kind.MEMBER_CHANGED: frozenset({"what", "by"}),
    Kind.API_CLIENT_CHANGED: frozenset({"client", "what"}),
    Kind.ANALYSIS_COMPLETED: frozenset({"url", "model", "completed_at"}),
    Kind.ANALYSES_COMPLETED: frozenset({"url", "count"}),
    Kind.ANALYSES_FAILED: frozenset({"url", "count"}),
    Kind.TEST: frozenset(),
}
# People choose whether they get these, and they wait for all others.
OF_ANALYSES = frozenset({Kind.ANALYSIS_COMPLETED, Kind.ANALYSES_COMPLETED, Kind.ANALYSES_FAILED})
MODEL = re.compile(r"[A-Za-z0-9._-]{1,100}")


class FactRefused(ValueError):
    """A mail was to say what its kind doesn't say. The text names the fact, never its value."""


def priority(kind: Kind) -> int:
    """Mails of analyses wait for all others."""
    return ROUTINE if kind in OF_ANALYSES else URGENT


def checked(kind: Kind, facts: Mapping[str, str | int]) -> dict[str, str | int]:
    """The facts, fit to be shown on one line each. Raises FactRefused."""
    if facts.keys() != FACTS[kind]:
        odd = sorted(facts.keys() ^ FACTS[kind])
        raise FactRefused(f"{kind} says {', '.join(sorted(FACTS[kind])) or 'nothing'}; missing or too many: {odd}.")
    fit = {name: value if isinstance(value, int) else one_line(value)[:LONGEST] for name, value in facts.items()}
    for name, value in fit.items():
        if name == "url" and not _is_link(str(value)):
            raise FactRefused("url is no address of a page, or has a token outside its fragment.")
        if name in ("count", "left") and not isinstance(value, int):
            raise FactRefused(f"{name} is no number.")
        if name == "model" and not MODEL.fullmatch(str(value)):
            raise FactRefused("model is no model's name.")
        if name == "completed_at" and datetime.fromisoformat(str(value)).utcoffset() is None:
            raise FactRefused("completed_at is no time.")
    return fit


def one_line(text: str) -> str:
    """Text without line ends and other characters that aren't seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _is_link(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and "@" not in parts.netloc
