"""Who is at the door: the facility that the host name says, the person that the token says, and whether they fit."""

import re
import time
from dataclasses import dataclass

from codetect_shared.problems import NotFound
from codetect_shared.tokens import JwksCache, Principal, TokenInvalid
from starlette.requests import HTTPConnection

from codetect_gateway.limits import Limits, address_key
from codetect_gateway.parts import Part, PartUnavailable
from codetect_gateway.settings import Settings

STALE_S = 60
VERIFIED_S = 5
MAX_KNOWN = 10_000
SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"


class UnknownHost(NotFound):
    """There is no facility at this address."""


@dataclass
class Known:
    """What auth last said about a host name."""

    exists: bool
    asked: float
    ask_again: float


class Facilities:
    """Which host names are facilities: auth knows, its answers are believed for some seconds.

    While auth doesn't answer, its last word goes on for a minute: no longer, so that a suspension bites.
    """

    def __init__(self, auth: Part, settings: Settings) -> None:
        self._auth, self._fresh_s = auth, settings.facility_fresh_s
        self._host = re.compile(rf"({SLUG})\.{re.escape(settings.base_domain.lower())}(:[0-9]{{1,5}})?")
        self._known: dict[str, Known] = {}

    def slug(self, host: str) -> str:
        """The facility's name within a host name, whether or not there is such a facility. Raises UnknownHost."""
        match = self._host.fullmatch(host.lower())
        if not match:
            raise UnknownHost(f"{host[:100]!r} is no facility's host name.")
        return match[1]

    async def at(self, host: str) -> str:
        """The slug of the facility at this host. Raises UnknownHost, PartUnavailable."""
        slug, now = self.slug(host), time.monotonic()
        known = self._known.get(slug)
        if known is None or now >= known.ask_again:
            if known is not None:
                known.ask_again = now + 2  # the others go on with what is known while one asks
            try:
                exists = await self._ask(host)
            except PartUnavailable:
                if known is None or now - known.asked > STALE_S:
                    raise
            else:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                known = self._known[slug] = Known(exists, now, now + self._fresh_s)
        if not known.exists:
            raise UnknownHost(f"{host[:100]!r} is no facility's host name.")
        return slug

    def forget(self) -> None:
        """A facility was opened or suspended: ask again."""
        self._known.clear()

    async def _ask(self, host: str) -> bool:
        answer = await self._auth.get("/api/v1/facility", {"X-Forwarded-Host": host})
        if not answer.is_success and answer.status_code not in (403, 404):
            raise PartUnavailable(self._auth.name)
        return answer.is_success


@dataclass(frozen=True)
class Visitor:
    """A request that may pass."""

    slug: str
    host: str
    address: str
    principal: Principal | None
    token: str | None


class Door:
    """Lets requests in, or says why not."""

    def __init__(self, facilities: Facilities, jwks: JwksCache, limits: Limits, settings: Settings) -> None:
        self.facilities, self.limits = facilities, limits
        self._jwks, self._settings = jwks, settings
        self._verified: dict[str, tuple[Principal, float]] = {}

    async def admit(self, request: HTTPConnection, *, anonymous: bool = False) -> Visitor:
        """Whoever knocks. A token must be good, but for `anonymous` paths, and this facility's on all.

        Raises UnknownHost, TokenInvalid, TooFast, PartUnavailable.
        """
        host = request.headers.get("host", "")
        address = request.client.host if request.client else ""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else None
        principal, refused = None, None
        if bearer is not None:
            try:
                principal = await self._verify(bearer)
            except TokenInvalid as error:
                refused = error
        if principal is None:
            self.count(address)
        else:
            self.limits.take(f"person:{principal.subject}", self._settings.rate_person)
        slug = await self.facilities.at(host)
        if principal is not None and principal.slug != slug:
            raise TokenInvalid("The access token is refused: it is meant for something else.")
        if refused is not None and not anonymous:
            raise refused
        return Visitor(slug, host.lower(), address, principal, bearer)

    async def _verify(self, token: str) -> Principal:
        """A token seen a moment ago needs no second look here: the service behind checks each time."""
        now = time.monotonic()
        principal, until = self._verified.get(token, (None, 0.0))
        if principal is None or now >= until:
            principal = await self._jwks.verify(token)
            if len(self._verified) >= MAX_KNOWN:
                self._verified.clear()
            self._verified[token] = principal, now + VERIFIED_S
        return principal

    def count(self, address: str) -> None:
        """Somebody without a valid token. Raises TooFast."""
        self.limits.take(address_key(address), self._settings.rate_anonymous)

    def check(self, address: str) -> None:
        """Somebody who has yet to show a ticket: a hospital's sockets may all come from one address. Raises TooFast."""
        self.limits.check(address_key(address), self._settings.rate_anonymous)
