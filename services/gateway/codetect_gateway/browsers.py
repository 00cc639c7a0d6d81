"""Browsers log in with a cookie: tokens stay here, sealed, and no script of a page ever sees one (docs/adr/0066).

The cookie is random and kept as its hash. It counts for requests of the facility's own pages alone, which the browser
itself vouches for: `Sec-Fetch-Site`, or `Origin` where an old one doesn't send that.
"""

import asyncio
import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from codetect_shared.db import Database, opened
from codetect_shared.problems import Forbidden, Problem, Unauthenticated
from codetect_shared.sealing import Sealed, reseal, seal, unseal
from sqlalchemy import text
from starlette.requests import HTTPConnection

from codetect_gateway.once import Once
from codetect_gateway.parts import API, Part, PartUnavailable
from codetect_gateway.settings import Settings

COOKIE = "__Host-codetect"
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"
CLEARED = f"{COOKIE}=; {ATTRIBUTES}; Max-Age=0"
REFRESH, LOGOUT = f"{API}/auth/refresh", f"{API}/auth/logout"
SECRET = {"access_token", "refresh_token", "token_type"}  # what no page is told
SAFE = {"GET", "HEAD", "OPTIONS"}
FRESH_S = 1
MARGIN_S = 60
MAX_KNOWN = 10_000
TRIES = 5
SEALED = Sealed("browser_session", "sealed_tokens", "'browser-session/' || encode(hash, 'hex')", id="hash")

INSERT = text("""
    INSERT INTO browser_session (hash, slug, sealed_tokens, token_expires_at)
    VALUES (:hash, :slug, :sealed, clock_timestamp() + make_interval(secs => :lasts_s))
""")
SELECT = text("""
    SELECT sealed_tokens, extract(epoch FROM token_expires_at - clock_timestamp())::float AS left_s
    FROM browser_session WHERE hash = :hash AND slug = :slug
""")
REPLACE = text("""
    UPDATE browser_session
    SET sealed_tokens = :sealed, token_expires_at = clock_timestamp() + make_interval(secs => :lasts_s)
    WHERE hash = :hash AND sealed_tokens = :before
""")
DELETE = text("DELETE FROM browser_session WHERE hash = :hash AND slug = :slug RETURNING sealed_tokens")
SWEEP = text("DELETE FROM browser_session WHERE token_expires_at < clock_timestamp() - interval '31 days'")


class CrossSite(Forbidden):
    """This request comes from another site's page; only the facility's own pages may send it."""


class LoginEnded(Unauthenticated):
    """This login has ended; log in again."""

    headers = {"Set-Cookie": CLEARED}


class HttpsNeeded(Problem):
    """A browser keeps a login over https only, or on localhost: open this address with https."""

    status = 400


@dataclass(frozen=True)
class Tokens:
    """A login's tokens; `left_s` is how long the access token still lasts."""

    access: str
    refresh: str
    left_s: float
    sealed: bytes = b""


@dataclass(frozen=True)
class Held:
    """An access token at hand, and when the database is asked again whether the login still is."""

    token: str
    ask_again: float


def from_page(request: HTTPConnection) -> bool:
    """Whether a browser's script sent this: it can neither forge nor leave out what tells."""
    return "sec-fetch-site" in request.headers or "origin" in request.headers


def check_origin(request: HTTPConnection) -> None:
    """Let only the facility's own pages act with its cookie, or log anybody in. Raises CrossSite."""
    site, safe = request.headers.get("sec-fetch-site"), request.scope.get("method") in SAFE
    if site is not None:
        ours = site == "same-origin" or (site == "none" and safe)
    elif origin := request.headers.get("origin"):
        ours = urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    else:
        ours = safe or COOKIE not in request.cookies  # a program
    if not ours:
        raise CrossSite


class Browsers:
    """The logins of browsers, in Postgres, so that every gateway process knows them; believed for some seconds."""

    def __init__(self, db: Database, auth: Part, master_key: bytes) -> None:
        self._db, self._auth, self._master_key = db, auth, master_key
        self._known: dict[bytes, Held] = {}
        self._doubted: dict[bytes, str] = {}
        self._asking = Once[str | None]()

    async def token(self, cookie: str, slug: str, host: str, address: str, refused: str = "") -> str | None:
        """The access token behind a cookie, another than `refused`; None when its login has ended.

        Raises PartUnavailable.
        """
        hash = _hash(cookie, slug)
        refused = refused or self._doubted.get(hash, "")
        held = self._known.get(hash)
        if held and held.token != refused and time.monotonic() < held.ask_again:
            return held.token
        return await self._asking(hash, lambda: self._ask(hash, slug, host, address, refused))

    def doubt(self, cookie: str, slug: str, token: str) -> None:
        """A service has refused this token, as after a change of rights unheard of here: the next is another."""
        self._doubted[_hash(cookie, slug)] = token
        if len(self._doubted) > MAX_KNOWN:
            del self._doubted[next(iter(self._doubted))]

    async def open(self, slug: str, tokens: dict[str, Any]) -> str:
        """Keep a login's tokens; return the cookie to set."""
        cookie = secrets.token_urlsafe(32)
        hash = _hash(cookie, slug)
        values = {"hash": hash, "slug": slug, "sealed": self._seal(hash, tokens), "lasts_s": tokens["expires_in"]}
        async with self._db.system() as session:
            await session.execute(INSERT, values)
        return f"{COOKIE}={cookie}; {ATTRIBUTES}"

    async def end(self, cookie: str, slug: str, host: str, address: str) -> None:
        """Log out here and at auth."""
        hash = _hash(cookie, slug)
        self._known.pop(hash, None)
        async with self._db.system() as session:
            row = (await session.execute(DELETE, {"hash": hash, "slug": slug})).one_or_none()
        if row is not None:
            refresh = json.loads(unseal(self._master_key, row.sealed_tokens, _owner(hash)))["refresh_token"]
            answer = await self._at_auth(LOGOUT, refresh, host, address)
            if not answer.is_success:
                raise PartUnavailable(self._auth.name)

    async def renew(self, cookie: str, slug: str, host: str, address: str) -> bool:
        """Refresh now; False when the login has ended."""
        hash = _hash(cookie, slug)
        known = await self._read(hash, slug)
        return known is not None and await self.token(cookie, slug, host, address, refused=known.access) is not None

    async def adopt(self, cookie: str, slug: str, told: dict[str, Any]) -> None:
        """Go on with another access token of the same login, as after a step-up."""
        hash = _hash(cookie, slug)
        if known := await self._read(hash, slug):
            await self._replace(hash, known, told | {"refresh_token": known.refresh})
            self._known.pop(hash, None)

    async def sweep(self) -> None:
        """Forget logins that nobody came back to."""
        async with self._db.system() as session:
            await session.execute(SWEEP)

    async def _ask(self, hash: bytes, slug: str, host: str, address: str, refused: str) -> str | None:
        self._known.pop(hash, None)
        tokens = await self._refreshed(hash, slug, host, address, refused)
        if tokens is None:
            return None
        self._known[hash] = Held(tokens.access, time.monotonic() + min(FRESH_S, tokens.left_s))
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        return tokens.access

    async def _refreshed(self, hash: bytes, slug: str, host: str, address: str, refused: str) -> Tokens | None:
        """A login's tokens, refreshed when the access token is `refused` or about to end.

        Gateway processes may refresh at once: auth tells all but one of them to wait, and these find the new tokens.
        """
        for _ in range(TRIES):
            tokens = await self._read(hash, slug)
            if tokens is None or (tokens.left_s > MARGIN_S and tokens.access != refused):
                return tokens
            try:
                answer = await self._at_auth(REFRESH, tokens.refresh, host, address)
            except PartUnavailable:
                answer = None
            if answer is not None and answer.is_success:
                await self._replace(hash, tokens, answer.json())
            elif answer is not None and answer.status_code == 401:
                again = await self._read(hash, slug)
                if again is None or again.sealed == tokens.sealed:
                    async with self._db.system() as session:
                        await session.execute(DELETE, {"hash": hash, "slug": slug})
                    return None
            elif answer is not None and answer.status_code == 409:
                await asyncio.sleep(1)
            elif tokens.left_s > 0 and tokens.access != refused:
                return tokens
            else:
                break
        raise PartUnavailable(self._auth.name)

    async def _read(self, hash: bytes, slug: str) -> Tokens | None:
        async with self._db.system() as session:
            row = (await session.execute(SELECT, {"hash": hash, "slug": slug})).one_or_none()
        if row is None:
            return None
        known = json.loads(unseal(self._master_key, row.sealed_tokens, _owner(hash)))
        return Tokens(known["access_token"], known["refresh_token"], row.left_s, row.sealed_tokens)

    async def _replace(self, hash: bytes, before: Tokens, tokens: dict[str, Any]) -> None:
        values = {"hash": hash, "sealed": self._seal(hash, tokens), "lasts_s": tokens["expires_in"]}
        async with self._db.system() as session:
            await session.execute(REPLACE, values | {"before": before.sealed})

    async def _at_auth(self, path: str, refresh: str, host: str, address: str) -> httpx.Response:
        inside = {"Content-Type": "application/json", "X-Forwarded-Host": host, "X-Forwarded-For": address}
        return await self._auth.ask("POST", path, inside, json.dumps({"refresh_token": refresh}).encode())

    def _seal(self, hash: bytes, tokens: dict[str, Any]) -> bytes:
        kept = {name: tokens[name] for name in ("access_token", "refresh_token")}
        return seal(self._master_key, json.dumps(kept).encode(), _owner(hash))


async def reseal_all(settings: Settings) -> int:
    """After the master key was changed: how many logins were sealed anew."""
    async with opened(settings.database_url, settings.database_system_url) as db, db.system() as session:
        return await reseal(session, settings.master_key, SEALED)


def _hash(cookie: str, slug: str) -> bytes:
    """It is random, so a fast hash is enough; another facility's cookie is another one."""
    return hashlib.sha256(f"{slug} {cookie}".encode("utf-8", "surrogatepass")).digest()


def _owner(hash: bytes) -> str:
    return f"browser-session/{hash.hex()}"
