"""Programs that log in with every request: PACS send an API client's id and secret as HTTP Basic, a fixed header.

Each pair is traded for an access token as at /oauth/token, and the token is what goes on to the service: the secret
ends here, and is kept nowhere (docs/adr/0065).
"""

import base64
import binascii
import hmac
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from codetect_gateway.once import Once
from codetect_gateway.parts import Part, PartUnavailable

MAX_KNOWN = 4096
MARGIN_S = 30
RETRY_S = 2
REFUSALS = (400, 401, 422)


@dataclass(frozen=True)
class Grant:
    """A token, when auth is asked again whether the client may still have one, and until when it is of use."""

    token: str
    ask_again: float
    until: float


class Programs:
    """Tokens by a keyed hash of facility, id and secret; whoever comes while auth is asked waits for the one answer."""

    def __init__(self, auth: Part, fresh_s: float) -> None:
        self._auth, self._fresh_s = auth, fresh_s
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, Grant] = {}
        self._asking = Once[Grant | None]()

    def knows(self, slug: str, credentials: str) -> bool:
        """Whether auth has said yes to this pair, or is being asked."""
        name = self._name(slug, credentials)
        return name in self._known or name in self._asking

    async def token(self, slug: str, host: str, address: str, credentials: str) -> str | None:
        """The token for what stands behind `Basic`; None for a pair that auth refuses. Raises PartUnavailable."""
        name = self._name(slug, credentials)
        grant = self._known.get(name)
        if grant is None or time.monotonic() >= grant.ask_again:
            last = grant
            grant = await self._asking(name, lambda: self._ask(name, host, address, credentials, last))
        return grant.token if grant else None

    def forget(self, slug: str, credentials: str) -> None:
        """The token at hand is no longer good."""
        self._known.pop(self._name(slug, credentials), None)

    def _name(self, slug: str, credentials: str) -> bytes:
        return hmac.digest(self._key, f"{slug} {credentials}".encode(), "sha256")

    async def _ask(self, name: bytes, host: str, address: str, credentials: str, last: Grant | None) -> Grant | None:
        try:
            grant = await self._exchange(host, address, credentials)
        except PartUnavailable:
            if last is None or time.monotonic() >= last.until:
                raise
            grant = Grant(last.token, time.monotonic() + RETRY_S, last.until)
        self._known.pop(name, None)
        if grant is not None:
            self._known[name] = grant
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]  # whose yes is the oldest
        return grant

    async def _exchange(self, host: str, address: str, credentials: str) -> Grant | None:
        pair = _pair(credentials)
        if pair is None:
            return None
        form = urlencode({"grant_type": "client_credentials", "client_id": pair[0], "client_secret": pair[1]})
        inside = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Forwarded-Host": host,
            "X-Forwarded-For": address,
        }
        answer = await self._auth.ask("POST", "/oauth/token", inside, form.encode())
        if answer.status_code in REFUSALS:
            return None
        if not answer.is_success:
            raise PartUnavailable(self._auth.name)
        body, now = answer.json(), time.monotonic()
        until = now + body["expires_in"] - MARGIN_S
        return Grant(body["access_token"], min(now + self._fresh_s, until), until)


def _pair(credentials: str) -> tuple[str, str] | None:
    """Id and secret (RFC 7617)."""
    try:
        id, colon, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (id, secret) if colon else None
