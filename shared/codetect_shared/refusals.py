"""Who is refused although the access token hasn't run out: logged out, suspended, of another role by now.

auth keeps the list for one token's life and serves it beside its keys (docs/adr/0045).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Refusal:
    """A login's tokens are refused; else a subject's, or a facility's, issued until `since` (seconds since 1970)."""

    facility_id: UUID
    since: int
    subject: str | None = None
    session_id: UUID | None = None


class Refusals:
    """Many of them, found by whom they hit."""

    def __init__(self, refusals: Iterable[Refusal] = ()) -> None:
        self._since: dict[tuple[UUID, str], int] = {}
        for refusal in refusals:
            self.add(refusal)

    def add(self, refusal: Refusal) -> None:
        """One more; the later of two holds."""
        name = f"session/{refusal.session_id}" if refusal.session_id else refusal.subject or ""
        key = refusal.facility_id, name
        self._since[key] = max(refusal.since, self._since.get(key, 0))

    def update(self, others: "Refusals") -> None:
        """All of another list's, too."""
        for key, since in others._since.items():
            self._since[key] = max(since, self._since.get(key, 0))

    def forget(self, until: int) -> None:
        """Forget those that no token can meet any more."""
        self._since = {key: since for key, since in self._since.items() if since > until}

    def hit(self, facility_id: UUID, subject: str, session_id: UUID | None, issued_at: int) -> bool:
        """Whether a token that says this is refused."""
        known = self._since
        if session_id and (facility_id, f"session/{session_id}") in known:
            return True
        return any(issued_at <= known.get((facility_id, name), -1) for name in ("", subject))


def parse_refusals(document: Any) -> Refusals:
    """The member `refused` of auth's answer. Raises as `parse_jwks` does for what is none."""
    return Refusals(
        Refusal(
            UUID(entry["facility"]),
            int(entry["since"]),
            entry["subject"],
            UUID(entry["session"]) if entry["session"] else None,
        )
        for entry in document.get("refused", ())
    )
