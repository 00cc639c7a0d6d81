"""Coming in as people do, over HTTP, with the links read from the mails that the sink has kept."""

import email
import email.policy
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from codetect_local.settings import Trouble

CONFIRM, JOIN = "access/confirm", "access/join"


class Mailbox:
    """The sink's folder: one .eml file a mail, in order of arrival."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def seen(self) -> set[Path]:
        """What has arrived so far."""
        return set(self._folder.glob("*.eml"))

    def token(self, to: str, page: str, before: set[Path] | None = None, patience_s: float = 60) -> str:
        """The token of the newest link to `page` that was mailed to somebody, and wasn't there `before`."""
        deadline = time.monotonic() + patience_s
        while True:
            for path in sorted(self.seen() - (before or set()), reverse=True):
                if found := _token(path, to, page):
                    return found
            if time.monotonic() > deadline:
                raise Trouble(f"No mail with a link to /{page} reached {to} within {patience_s:.0f} s.")
            time.sleep(0.2)


def _token(path: Path, to: str, page: str) -> str | None:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    recipients = re.split(r",\s*", str(message["X-Envelope-To"]))
    part = message.get_body(("plain",))
    if to.casefold() not in [each.casefold() for each in recipients] or part is None:
        return None
    link = re.search(rf"/{page}#token=([\w-]+)", str(part.get_content()))
    return link[1] if link else None


def come_in(
    door: httpx.Client, mailbox: Mailbox, person: dict[str, Any], role: str, let_in: Callable[[str], None]
) -> str:
    """Ask, confirm, be let in by an admin, accept: a token to set up the second factor with.

    `person` has name, e-mail address and password; cut short, the next call goes on from where it stood.
    """
    before = mailbox.seen()
    wish = {name: person[name] for name in ("email", "name")} | {"role": role, "reason": "To try CoDetect out."}
    answer(door.post("/api/v1/access-requests", json=wish))
    token = mailbox.token(person["email"], CONFIRM, before)
    standing = answer(door.post("/api/v1/access-requests/confirm", json={"token": token}))["state"]
    if standing == "waiting":
        before = mailbox.seen()
        let_in(person["email"])
        return accept(door, mailbox, person, before)
    return accept(door, mailbox, person)


def accept(door: httpx.Client, mailbox: Mailbox, person: dict[str, Any], before: set[Path] | None = None) -> str:
    """Accept the newest invitation, with a password and the terms: a token to set up the second factor with."""
    body = {
        "token": mailbox.token(person["email"], JOIN, before),
        "password": person["password"],
        "terms_version": answer(door.get("/api/v1/terms"))["version"],
    }
    return str(answer(door.post("/api/v1/invitations/accept", json=body))["enrolment_token"])


def approve(door: httpx.Client, access_token: str, address: str) -> None:
    """As an admin: let in who asks from this address."""
    bearer = {"Authorization": f"Bearer {access_token}"}
    waiting = answer(door.get("/api/v1/access-requests", params={"limit": 200}, headers=bearer))["items"]
    for request in waiting:
        if request["email"].casefold() == address.casefold():
            path = f"/api/v1/access-requests/{request['id']}/approve"
            answer(door.post(path, json={}, headers=bearer))
            return
    raise Trouble(f"Nobody with the address {address} asks to come in.")


def answer(reply: httpx.Response) -> dict[str, Any]:
    """The body of a good answer; a problem's words otherwise."""
    if reply.is_error:
        raise Trouble(f"{reply.request.method} {reply.request.url.path} answered {reply.status_code}: {reply.text}")
    return dict(reply.json() or {})
