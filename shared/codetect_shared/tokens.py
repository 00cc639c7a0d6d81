"""Access tokens: the one function that accepts or refuses them, the keys it accepts, and the request's `Principal`.

A token is a JWS (RFC 7515) in the profile of RFC 9068: ES256 alone, header type `at+jwt`, and exactly the header
members `alg`, `kid` and `typ`. Whatever else a header could ask for (`jku`, `jwk`, `x5u`, `crit`) is refused unread.
"""

import asyncio
import base64
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, NoReturn
from uuid import UUID, uuid4

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jose import jwt  # type: ignore[import-untyped]
from jose.exceptions import JOSEError  # type: ignore[import-untyped]

from codetect_shared.problems import Forbidden, ServiceUnavailable, Unauthenticated

ALGORITHM = "ES256"
AUDIENCE = "codetect"
HEADER_TYPE = "at+jwt"
LIFETIME_S = 600
LEEWAY_S = 5
FRESH_S = 30
RETRY_S = 2
STALE_S = LIFETIME_S + LEEWAY_S

log = structlog.get_logger()

_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,512})\.([A-Za-z0-9_-]{1,3072})\.([A-Za-z0-9_-]{86})")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SCOPE = re.compile(r"([a-z:_-]{1,32}( [a-z:_-]{1,32}){0,15})?")
_REQUIRED = {f"require_{claim}": True for claim in ("aud", "iss", "exp", "iat", "sub")}

Keys = Mapping[str, ec.EllipticCurvePublicKey]


class TokenInvalid(Unauthenticated):
    """The access token is not valid."""

    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class KeysUnavailable(ServiceUnavailable):
    """The keys that access tokens are checked with can't be fetched at the moment; try again in a few seconds."""


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
    """Who asks: `subject` is the id of a person or an API client, `session_id` a person's login."""

    subject: str
    facility_id: UUID
    slug: str
    role: Role
    scopes: frozenset[str] = frozenset()
    session_id: UUID | None = None

    @property
    def sees_identities(self) -> bool:
        """Whether patients' names, and whatever else was sealed, are shown; otherwise pseudonyms are."""
        return Scope.IDENTITY in self.scopes


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
        x, y = (_encode(value.to_bytes(32, "big")) for value in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": self.kid, "x": x, "y": y}


def sign(claims: Mapping[str, Any], key: SigningKey) -> str:
    """Claims as a compact JWS."""
    headers = {"kid": key.kid, "typ": HEADER_TYPE}
    return str(jwt.encode(dict(claims), key.private, algorithm=ALGORITHM, headers=headers))


def issue(principal: Principal, key: SigningKey, *, issuer: str, lifetime_s: int = LIFETIME_S) -> str:
    """A fresh access token for `principal`."""
    now = int(time.time())
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
    return sign(claims, key)


def verify(token: str, keys: Keys, *, issuer: str, audience: str = AUDIENCE, typ: str = "access") -> Principal:
    """The principal a token speaks for, or `TokenInvalid`. `keys` are our own, by `kid`."""
    key = keys.get(kid_of(token))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        _refuse("it is signed with a key that isn't ours")
    claims = _members(token.split(".")[1])
    now = time.time()
    if not (type(claims.get("exp")) is int and type(claims.get("iat")) is int):
        _refuse("exp and iat must be whole seconds")
    if not claims["iat"] - LEEWAY_S <= now < claims["exp"] <= claims["iat"] + 24 * 3600:
        _refuse("it is expired, or from the future, or lasts too long")
    if claims.get("aud") != audience or claims.get("iss") != issuer or claims.get("typ") != typ:
        _refuse("it is meant for something else")
    try:
        jwt.decode(token, key, algorithms=[ALGORITHM], audience=audience, issuer=issuer, options=_REQUIRED)
    except (JOSEError, ArithmeticError, ValueError, TypeError):
        _refuse("its signature or a claim is wrong")
    _text(claims, "jti", _NAME)
    try:
        return Principal(
            subject=_text(claims, "sub", _NAME),
            facility_id=_uuid(claims.get("facility")),
            slug=_text(claims, "slug", _SLUG),
            role=Role(_text(claims, "role", _NAME)),
            scopes=frozenset(_text(claims, "scope", _SCOPE).split()),
            session_id=_uuid(claims["sid"]) if "sid" in claims else None,
        )
    except ValueError:
        _refuse("a claim has no such value")


def kid_of(token: str) -> str:
    """The name of the key a token says it is signed with, once its form and header are beyond doubt."""
    parts = _TOKEN.fullmatch(token)
    if not parts or not _canonical(parts[3]):
        _refuse("it does not have the form of one")
    header = _members(parts[1])
    if set(header) != {"alg", "kid", "typ"} or header["alg"] != ALGORITHM or header["typ"] != HEADER_TYPE:
        _refuse("its header is not ours")
    return _text(header, "kid", _NAME)


def parse_jwks(document: Any) -> dict[str, ec.EllipticCurvePublicKey]:
    """The P-256 signing keys of a JWK set, by `kid`; keys of other kinds are passed over.

    Raises ValueError, KeyError, TypeError or AttributeError for what is no JWK set.
    """
    keys = {}
    for entry in document["keys"]:
        if (entry.get("kty"), entry.get("crv"), entry.get("use"), entry.get("alg")) == (
            "EC",
            "P-256",
            "sig",
            ALGORITHM,
        ):
            x, y = (int.from_bytes(_decode(entry[name]), "big") for name in ("x", "y"))
            keys[str(entry["kid"])] = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return keys


class JwksCache:
    """auth's public keys, asked for every 30 s and for an unknown `kid`: a revoked key lasts less than a minute.

    While auth doesn't answer, the keys at hand go on for one token's life: until then somebody may hold a token that
    is good, later nobody can (docs/adr/0041).
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Any]], issuer: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._issuer, self._clock = fetch, issuer, clock
        self._keys: Keys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    @classmethod
    def over_http(cls, client: httpx.AsyncClient, auth_url: str, issuer: str) -> "JwksCache":
        """The keys that the auth service publishes."""

        async def fetch() -> Any:
            response = await client.get(f"{auth_url.rstrip('/')}/.well-known/jwks.json", timeout=2)
            return response.raise_for_status().json()

        return cls(fetch, issuer)

    async def verify(self, token: str) -> Principal:
        """As `verify`; raises `KeysUnavailable` too."""
        kid = kid_of(token)
        await self._refresh(kid)
        if kid not in self._keys and self._age() > FRESH_S:
            raise KeysUnavailable
        return verify(token, self._keys, issuer=self._issuer)

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _good(self, kid: str) -> bool:
        return kid in self._keys and self._age() < FRESH_S

    async def _refresh(self, kid: str) -> None:
        """One request asks; those whose key is known need not wait for it."""
        if self._good(kid) or (kid in self._keys and self._lock.locked()):
            return
        async with self._lock:
            if self._good(kid) or self._clock() - self._tried_at < RETRY_S:
                return
            self._tried_at = self._clock()
            try:
                self._keys = parse_jwks(await self._fetch())
                self._fetched_at = self._clock()
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("jwks.unavailable", error=repr(error))
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
    return await jwks.verify(credentials.credentials)


async def current_principal(request: Request, principal: Annotated[Principal, Depends(authenticated)]) -> Principal:
    """Whoever asks; an API client needs the scope `read` to read and `write` for the rest."""
    needed = Scope.READ if request.method in ("GET", "HEAD") else Scope.WRITE
    if principal.role is Role.API_CLIENT and needed not in principal.scopes:
        raise Forbidden(f"This API client lacks the scope `{needed}`.")
    return principal


CurrentPrincipal = Annotated[Principal, Depends(current_principal)]


def require(*roles: Role) -> Any:
    """A dependency that lets only these roles pass."""

    async def allowed(principal: CurrentPrincipal) -> Principal:
        if principal.role not in roles:
            raise Forbidden
        return principal

    return Depends(allowed)


def _refuse(why: str) -> NoReturn:
    raise TokenInvalid(f"The access token is refused: {why}.")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _canonical(segment: str) -> bool:
    """Whether the unused last bits are zero; otherwise a second text would stand for the same token."""
    return _encode(_decode(segment)) == segment


def _members(segment: str) -> dict[str, Any]:
    """A JSON object without repeated names, fractions, NaN or infinities."""
    try:
        members = json.loads(_decode(segment), object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse)
    except (ValueError, RecursionError):
        _refuse("it is not JSON")
    if not isinstance(members, dict):
        _refuse("it is not a JSON object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        _refuse("a name stands twice")
    return members


def _text(members: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        _refuse(f"{name} is missing or malformed")
    return value


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or str(UUID(value)) != value:
        raise ValueError(value)
    return UUID(value)
