"""Access tokens: the one function that accepts or refuses them, the keys it accepts, and the request's `Principal`.

`jws` reads a token's form; here its signature and claims are checked, and that it wasn't refused since it was issued.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import jwt  # type: ignore[import-untyped]
from jose.exceptions import JOSEError  # type: ignore[import-untyped]

from codetect_shared import jws
from codetect_shared.jws import ALGORITHM, HEADER_TYPE, TokenInvalid, kid_of, parse_jwks
from codetect_shared.problems import Forbidden, ServiceUnavailable, Unauthenticated
from codetect_shared.refusals import Refusals, parse_refusals

__all__ = ["TokenInvalid", "kid_of", "parse_jwks"]  # from here, too

AUDIENCE = "codetect"
TRUST_PATH = "/internal/trust"
LIFETIME_S = 600
LEEWAY_S = 5
FRESH_S = 30
WAIT_S = 45
RETRY_S = 2
FIRST_RETRY_S = 0.2  # without any key everybody is turned away, so each moment counts
STALE_S = LIFETIME_S + LEEWAY_S
STEP_UP_S = 600

log = structlog.get_logger()

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SCOPE = re.compile(r"([a-z:_-]{1,32}( [a-z:_-]{1,32}){0,15})?")
_REQUIRED = {f"require_{claim}": True for claim in ("aud", "iss", "exp", "iat", "sub")}

Keys = Mapping[str, ec.EllipticCurvePublicKey]


class KeysUnavailable(ServiceUnavailable):
    """The keys that access tokens are checked with can't be fetched at the moment; try again in a few seconds."""


class StepUpRequired(Forbidden):
    """This needs a code or a passkey that was given within the last ten minutes."""

    headers = {"WWW-Authenticate": f'Bearer error="insufficient_user_authentication", max_age="{STEP_UP_S}"'}

    def __init__(self) -> None:
        super().__init__("Confirm that it is you with POST /api/v1/auth/step-up, then use the token it answers with.")


class Role(StrEnum):
    """What somebody is in a facility; the operator belongs to the facility `admin`."""

    OPERATOR = "operator"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"
    API_CLIENT = "api_client"


class Scope(StrEnum):
    """What an API client may do. What people may follows from their role, but for the rights they are given."""

    READ = "read"
    WRITE = "write"
    IDENTITY = "identity"  # see who patients are, not only their pseudonyms


Right = Literal[Scope.IDENTITY]  # what a person is given beyond the role


@dataclass(frozen=True)
class Principal:
    """Who asks: `subject` is the id of a person or an API client, `session_id` a person's login.

    `issued_at` and `auth_time` (seconds since 1970) are when the token was issued, and when the person last proved
    themselves with a second factor.
    """

    subject: str
    facility_id: UUID
    slug: str
    role: Role
    scopes: frozenset[str] = frozenset()
    session_id: UUID | None = None
    issued_at: int = field(default=0, compare=False)
    auth_time: int = field(default=0, compare=False)

    @property
    def sees_identities(self) -> bool:
        """Whether patients' names, and whatever else was sealed, are shown; otherwise pseudonyms are."""
        return Scope.IDENTITY in self.scopes

    @property
    def is_fresh(self) -> bool:
        """Whether the person proved themselves lately; what a program may do is a matter of its scopes alone."""
        return self.role is Role.API_CLIENT or time.time() - self.auth_time < STEP_UP_S


@dataclass(frozen=True)
class SigningKey:
    """A P-256 key pair with the name that tokens give in `kid`."""

    kid: str
    private: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key under a random name."""
        return cls(uuid4().hex, ec.generate_private_key(ec.SECP256R1()))

    def public_jwk(self) -> dict[str, Any]:
        """The public half as RFC 7517 writes it."""
        point = self.private.public_key().public_numbers()
        x, y = (jws.encode(value.to_bytes(32, "big")) for value in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.kid, "x": x, "y": y}


def sign(claims: Mapping[str, Any], key: SigningKey) -> str:
    """Claims as a compact JWS."""
    headers = {"kid": key.kid, "typ": HEADER_TYPE}
    return str(jwt.encode(dict(claims), key.private, algorithm=ALGORITHM, headers=headers))


def issue(principal: Principal, key: SigningKey, *, issuer: str, lifetime_s: int = LIFETIME_S) -> str:
    """An access token for `principal`; issued now, where it doesn't say when."""
    now = principal.issued_at or int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": principal.subject,
        "iat": now,
        "exp": now + lifetime_s,
        "typ": "access",
        "jti": uuid4().hex,
        "facility": str(principal.facility_id),
        "slug": principal.slug,
        "role": principal.role.value,
        "scope": " ".join(sorted(principal.scopes)),
    }
    if principal.session_id:
        claims["sid"] = str(principal.session_id)
    if principal.auth_time:
        claims["auth_time"] = principal.auth_time
    return sign(claims, key)


def verify(token: str, keys: Keys, *, issuer: str, audience: str = AUDIENCE, typ: str = "access") -> Principal:
    """The principal a token speaks for, or `TokenInvalid`. `keys` are our own, by `kid`."""
    key = keys.get(kid_of(token))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        jws.refuse("it is signed with a key that isn't ours")
    claims = jws.members_of(token.split(".")[1])
    now, auth_time = time.time(), claims.get("auth_time", 0)
    if type(auth_time) is not int or auth_time > now + LEEWAY_S:
        jws.refuse("auth_time must be whole seconds, in the past")
    if not (type(claims.get("exp")) is int and type(claims.get("iat")) is int):
        jws.refuse("exp and iat must be whole seconds")
    if not claims["iat"] - LEEWAY_S <= now < claims["exp"] <= claims["iat"] + 24 * 3600:
        jws.refuse("it is expired, or from the future, or lasts too long")
    if claims.get("aud") != audience or claims.get("iss") != issuer or claims.get("typ") != typ:
        jws.refuse("it is meant for something else")
    try:
        jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, issuer=issuer, options=_REQUIRED)
    except (JOSEError, ArithmeticError, ValueError, TypeError):
        jws.refuse("its signature or a claim is wrong")
    jws.text(claims, "jti", jws.NAME)
    try:
        return Principal(
            subject=jws.text(claims, "sub", jws.NAME),
            facility_id=jws.uuid_of(claims.get("facility")),
            slug=jws.text(claims, "slug", _SLUG),
            role=Role(jws.text(claims, "role", jws.NAME)),
            scopes=frozenset(jws.text(claims, "scope", _SCOPE).split()),
            session_id=jws.uuid_of(claims["sid"]) if "sid" in claims else None,
            issued_at=claims["iat"],
            auth_time=auth_time,
        )
    except ValueError:
        jws.refuse("a claim has no such value")


class JwksCache:
    """auth's public keys, and whom it refuses: asked for every 30 s, and for an unknown `kid`.

    So a revoked key, an ended login, a changed role last less than a minute. While auth doesn't answer, what is known
    goes on for one token's life: until then somebody may hold a token that is good, later nobody can (docs/adr/0041).
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Any]],
        issuer: str,
        clock: Callable[[], float] = time.monotonic,
        fresh_s: float = FRESH_S,
    ) -> None:
        self._fetch, self._issuer, self._clock, self._fresh_s = fetch, issuer, clock, fresh_s
        self._keys: Keys = {}
        self.refusals = Refusals()
        self._fetched_at = self._tried_at = float("-inf")
        self._away = False
        self._lock = asyncio.Lock()

    @classmethod
    def over_http(
        cls, client: httpx.AsyncClient, auth_url: str, issuer: str, clock: Callable[[], float] = time.monotonic
    ) -> "JwksCache":
        """What the auth service tells its neighbours."""
        url = auth_url.rstrip("/") + TRUST_PATH
        known: dict[str, Any] = {"": None}

        async def fetch() -> Any:
            [(etag, document)] = known.items()
            response = await client.get(url, headers={"If-None-Match": etag} if etag else {}, timeout=2)
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return document
            document = response.raise_for_status().json()
            known.clear()
            known[response.headers.get("etag", "")] = document
            return document

        return cls(fetch, issuer, clock)

    async def verify(self, token: str) -> Principal:
        """As `verify`, and refuses whoever was refused since; raises `KeysUnavailable` too."""
        kid = kid_of(token)
        await self._refresh(kid)
        if kid not in self._keys and self._age() > FRESH_S:
            raise KeysUnavailable
        principal = verify(token, self._keys, issuer=self._issuer)
        if self.refusals.hit(principal.facility_id, principal.subject, principal.session_id, principal.issued_at):
            jws.refuse("the login has ended or what it may do has changed; refresh, or log in again")
        return principal

    async def poll(self) -> None:
        """Ask auth if it is time to, whether or not anybody sends a token."""
        if self._age() >= self._fresh_s:
            await self._refresh("")

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _good(self, kid: str) -> bool:
        return kid in self._keys and self._age() < self._fresh_s

    async def _refresh(self, kid: str) -> None:
        """One request asks; those whose key is known need not wait, unless what is known is old and auth answers."""
        worth_it = self._age() > WAIT_S and not self._away
        if self._good(kid) or (kid in self._keys and self._lock.locked() and not worth_it):
            return
        async with self._lock:
            retry_s = RETRY_S if self._keys else FIRST_RETRY_S
            if self._good(kid) or self._clock() - self._tried_at < min(retry_s, self._fresh_s):
                return
            self._tried_at = started = self._clock()
            try:
                document = await self._fetch()
                self._keys, self.refusals = parse_jwks(document), parse_refusals(document)
                self._fetched_at, self._away = started, False
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("jwks.unavailable", error=repr(error))
                # From here, not from the start: those who waited for a try that hung don't each wait for another one.
                self._tried_at, self._away = self._clock(), True
                if self._age() > STALE_S:
                    self._keys = {}


bearer = HTTPBearer(
    auto_error=False, scheme_name="bearer", bearerFormat="JWT", description="An access token from auth."
)


async def authenticated(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Principal:
    """Whoever sends a valid access token, whatever an API client's scopes are."""
    if credentials is None:
        raise Unauthenticated
    jwks: JwksCache = request.app.state.jwks
    principal = request.state.principal = await jwks.verify(credentials.credentials)
    return principal


async def identify(request: Request) -> None:
    """Have `authenticated` asked where it would have been, had the body been read: who isn't known is told only that.

    FastAPI gives up at JSON that it can't read before it asks for anything else.
    """
    dependant = getattr(request.scope.get("route"), "dependant", None)
    if dependant is not None and _asks(dependant) and getattr(request.state, "principal", None) is None:
        await authenticated(request, await bearer(request))


def _asks(dependant: Dependant) -> bool:
    return dependant.call is authenticated or any(map(_asks, dependant.dependencies))


async def current_principal(request: Request, principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
    """Whoever asks; an API client needs the scope `read` to read and `write` for the rest."""
    needed = Scope.READ if request.method in ("GET", "HEAD") else Scope.WRITE
    if principal.role is Role.API_CLIENT and needed not in principal.scopes:
        raise Forbidden(f"This API client lacks the scope `{needed}`.")
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def require(*roles: Role, fresh: bool = False) -> Any:
    """A dependency that lets only these roles pass; `fresh`: people who proved themselves within ten minutes."""

    async def allowed(principal: CurrentPrincipal) -> Principal:
        if principal.role not in roles:
            raise Forbidden
        if fresh and not principal.is_fresh:
            raise StepUpRequired
        return principal

    return Depends(allowed)
