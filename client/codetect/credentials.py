"""Who asks: an API client, a person with two factors, or a login at hand. Each knows how to get fresh tokens."""

import asyncio
import base64
import hashlib
import hmac
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

from codetect.errors import LoginRequired, Refused
from codetect.models import Challenge, Tokens

M = TypeVar("M", bound=BaseModel)
TOTP_STEP_S = 30


class Door(Protocol):
    """The facility, where tokens are asked for."""

    async def post(self, kind: type[M], path: str, *, bearer: bool = ..., **rest: Any) -> M:
        """What a POST answers, as a model."""


class Credentials(Protocol):
    """Something that tokens can be had with."""

    async def tokens(self, door: Door, current: Tokens | None) -> Tokens:
        """Fresh tokens, out of the `current` ones where that is possible. Raises LoginRequired."""


@dataclass(frozen=True)
class ApiClient:
    """A program's credentials (RFC 6749, section 4.4)."""

    client_id: str
    client_secret: str = field(repr=False)

    async def tokens(self, door: Door, current: Tokens | None) -> Tokens:
        """An API client has no refresh token; it asks anew."""
        pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
        basic = base64.b64encode(pair.encode()).decode()
        try:
            return await door.post(
                Tokens,
                "/oauth/token",
                bearer=False,
                retry=True,
                data={"grant_type": "client_credentials"},
                headers={"Authorization": f"Basic {basic}"},
            )
        except Refused as refused:
            if refused.status in (400, 401):
                raise LoginRequired(f"The API client's credentials are refused: {refused}") from refused
            raise


@dataclass(frozen=True)
class Person:
    """A person whose second factor this program holds too: for demonstrations and tests, never for a real member."""

    email: str
    password: str = field(repr=False)
    totp_secret: str = field(repr=False)

    async def tokens(self, door: Door, current: Tokens | None) -> Tokens:
        """A refresh, or both factors; a code works once, so one that was used before means waiting for the next."""
        if current and current.refresh_token:
            try:
                return await refresh(door, current.refresh_token)
            except LoginRequired:
                pass
        challenge = await login(door, self.email, self.password)
        if not challenge.mfa_token:
            raise LoginRequired(f"{self.email} has to set up a second factor first: run `codetect login`.")
        try:
            return await second_factor(door, challenge.mfa_token, totp(self.totp_secret))
        except LoginRequired:
            await asyncio.sleep(TOTP_STEP_S - time.time() % TOTP_STEP_S)
            challenge = await login(door, self.email, self.password)
            return await second_factor(door, str(challenge.mfa_token), totp(self.totp_secret))


@dataclass(frozen=True)
class Fixed:
    """Tokens that are there already, renewed by their refresh token as long as that goes."""

    first: Tokens

    async def tokens(self, door: Door, current: Tokens | None) -> Tokens:
        """The tokens, then those that follow from them."""
        if current is None:
            return self.first
        if not current.refresh_token:
            raise LoginRequired("The access token has run out; log in again.")
        return await refresh(door, current.refresh_token)


async def login(door: Door, email: str, password: str) -> Challenge:
    """The first factor."""
    try:
        return await door.post(
            Challenge, "/api/v1/auth/login", bearer=False, json={"email": email, "password": password}
        )
    except Refused as refused:
        raise _as_login(refused) from refused


async def second_factor(door: Door, mfa_token: str, code: str, method: str = "totp") -> Tokens:
    """The second factor: `totp` or `recovery_code`."""
    try:
        return await door.post(
            Tokens,
            "/api/v1/auth/mfa",
            bearer=False,
            json={"mfa_token": mfa_token, "method": method, "code": code},
        )
    except Refused as refused:
        raise _as_login(refused) from refused


async def refresh(door: Door, refresh_token: str) -> Tokens:
    """The next tokens of a login; when its answer got lost it is asked for once more a second later."""
    for attempt in (1, 2, 3):
        try:
            return await door.post(
                Tokens, "/api/v1/auth/refresh", bearer=False, retry=True, json={"refresh_token": refresh_token}
            )
        except Refused as refused:
            if refused.status != 409 or attempt == 3:
                raise _as_login(refused) from refused
            await asyncio.sleep(1.1)
    raise AssertionError


def totp(secret: str, at: float | None = None) -> str:
    """The six digits of RFC 6238 for a base32 secret."""
    key = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
    step = int((time.time() if at is None else at) // TOTP_STEP_S)
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    number = struct.unpack_from(">I", digest, digest[-1] & 15)[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def _as_login(refused: Refused) -> Refused | LoginRequired:
    return LoginRequired(str(refused)) if refused.status in (400, 401, 403) else refused
