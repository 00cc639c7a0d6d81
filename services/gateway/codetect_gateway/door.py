"""Who is at the door: the facility that the host name says, the person that the token says, and whether they fit."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass

from codetect_shared.problems import NotFound, Unauthenticated
from codetect_shared.tokens import JwksCache, Principal, TokenInvalid
from starlette.requests import HTTPConnection

from codetect_gateway.browsers import COOKIE, Browsers, LoginEnded, check_origin
from codetect_gateway.limits import Limits, address_key
from codetect_gateway.parts import Part, PartUnavailable, Prefix
from codetect_gateway.programs import Programs
from codetect_gateway.settings import Settings

STALE_S = 60
MAX_KNOWN = 10_000
SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
ANYWHERE = Prefix("", "")
CHALLENGE = {"WWW-Authenticate": 'Basic realm="codetect", Bearer'}


class UnknownHost(NotFound):
    """There is no facility at this address."""


class CredentialsMissing(Unauthenticated):
    """Send an API client's id and secret as HTTP Basic, or an access token as Bearer."""

    headers = CHALLENGE


class CredentialsRefused(Unauthenticated):
    """The client id or the client secret is wrong."""

    headers = CHALLENGE


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
        match = self._host.fullmatch(host)
        if not match:
            raise UnknownHost(f"{host[:100]!r} is no facility's host name.")
        return match[1]

    async def at(self, host: str) -> str:
        """The slug of the facility at this host. Raises UnknownHost, PartUnavailable."""
        slug, now = self.slug(host), time.monotonic()
        known = self._known.get(slug)
        if known is None or now >= known.ask_again:
            known = await self._ask(host, slug, known, now)
        if not known.exists:
            raise UnknownHost(f"{host[:100]!r} is no facility's host name.")
        return slug

    async def _ask(self, host: str, slug: str, known: Known | None, now: float) -> Known:
        if known is not None:
            known.ask_again = now + 2  # the others go on with what is known while one asks
        try:
            answer = await self._auth.get("/api/v1/facility", {"X-Forwarded-Host": host})
            if not answer.is_success and answer.status_code not in (403, 404):
                raise PartUnavailable(self._auth.name)
        except PartUnavailable:
            if known is None or now - known.asked > STALE_S:
                raise
            return known
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        fresh = self._known[slug] = Known(answer.is_success, now, now + self._fresh_s)
        return fresh

    def forget(self) -> None:
        """A facility was opened or suspended: ask again."""
        self._known.clear()


@dataclass(frozen=True)
class Visitor:
    """A request that may pass; `token` is what it goes on with if there is a principal."""

    slug: str
    host: str
    address: str
    principal: Principal | None
    token: str


class Door:
    """Lets requests in, or says why not."""

    def __init__(
        self,
        facilities: Facilities,
        programs: Programs,
        browsers: Browsers,
        jwks: JwksCache,
        limits: Limits,
        settings: Settings,
    ) -> None:
        self.facilities, self._programs, self._browsers = facilities, programs, browsers
        self._jwks, self._limits, self._settings = jwks, limits, settings

    async def admit(self, request: HTTPConnection, prefix: Prefix = ANYWHERE) -> Visitor:
        """Whoever knocks. A token must be good, but for `anonymous` paths, and this facility's on all.

        Raises UnknownHost, TokenInvalid, CredentialsMissing, CredentialsRefused, CrossSite, LoginEnded, TooFast,
        PartUnavailable.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        host, address = host_of(request), address_of(request)
        principal = None
        if not scheme:
            check_origin(request)
        if not scheme and (cookie := request.cookies.get(COOKIE)):
            token, principal = await self._login(cookie, host, address, prefix)
        elif scheme.lower() == "bearer":
            try:
                principal = await self._jwks.verify(token)
            except TokenInvalid:
                if not prefix.anonymous:
                    self.count(address)
                    raise
        elif prefix.pacs:
            token, principal = await self._program(scheme, token.strip(), host, address)
        if principal is None:
            self.count(address)
        elif prefix.pacs:
            self._limits.take(f"pacs:{principal.subject}", self._settings.rate_pacs)
        else:
            self._limits.take(f"person:{principal.subject}", self._settings.rate_person)
        slug = await self.facilities.at(host)
        if principal is not None and principal.slug != slug:
            raise TokenInvalid("The access token is refused: it is meant for something else.")
        return Visitor(slug, host, address, principal, token)

    async def _login(self, cookie: str, host: str, address: str, prefix: Prefix) -> tuple[str, Principal | None]:
        """A browser's login, as if it had sent its token; one that has ended is in nobody's way to log in again."""
        slug, token = self.facilities.slug(host), ""
        for _ in range(2):  # a token that is refused, as after a change of rights, may be followed by a good one
            fresh = await self._browsers.token(cookie, slug, host, address, refused=token)
            if fresh is None:
                break
            token = fresh
            with suppress(TokenInvalid):
                return token, await self._jwks.verify(token)
        if not prefix.anonymous:
            self.count(address)
            raise LoginEnded
        return "", None

    async def _program(self, scheme: str, credentials: str, host: str, address: str) -> tuple[str, Principal]:
        """An API client's token for its id and secret; a pair that auth hasn't said yes to costs its address a try."""
        slug = self.facilities.slug(host)
        if scheme.lower() != "basic":
            raise CredentialsMissing  # no guess, so not counted: many programs wait to be asked
        known = self._programs.knows(slug, credentials)
        if not known:
            self.count(address)
        await self.facilities.at(host)
        for _ in range(2):
            token = await self._programs.token(slug, host, address, credentials)
            if token is None:
                if known:
                    self.count(address)
                raise CredentialsRefused
            try:
                return token, await self._jwks.verify(token)
            except TokenInvalid:  # the key it is signed with was revoked
                self._programs.forget(slug, credentials)
        raise PartUnavailable("auth")

    def count(self, address: str) -> None:
        """Somebody without a valid token, or ticket. Raises TooFast."""
        self._limits.take(address_key(address), self._settings.rate_anonymous)

    def check(self, address: str) -> None:
        """Somebody who has yet to show a ticket: a hospital's sockets may all come from one address. Raises TooFast."""
        self._limits.check(address_key(address), self._settings.rate_anonymous)


def host_of(request: HTTPConnection) -> str:
    """The host name, with its port."""
    return request.headers.get("host", "").lower()


def address_of(request: HTTPConnection) -> str:
    """Where the request comes from; a trusted proxy's word for it, where there is one."""
    return request.client.host if request.client else ""
