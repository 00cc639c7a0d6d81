"""The logins of `codetect login`, in the user's configuration folder, readable by the user alone."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ValidationError

from codetect import private
from codetect.credentials import Door, refresh
from codetect.errors import CodetectError, LoginRequired
from codetect.models import Tokens

SPARE_S = 60
PATIENCE_S = 90


class Login(BaseModel):
    """Tokens at one facility; `expires_at` is the access token's end in seconds since 1970, by this machine's clock."""

    access_token: str
    refresh_token: str | None
    expires_at: float


class Logins(BaseModel):
    """The file: logins by the facility's address, and the facility meant when none is named."""

    default: str | None = None
    logins: dict[str, Login] = {}


@dataclass(frozen=True)
class StoredLogin:
    """The login at a facility that all `codetect` processes of this user share.

    A refresh token works once, so they take turns, and each looks first whether another has renewed the tokens.
    """

    url: str

    async def tokens(self, door: Door, current: Tokens | None) -> Tokens:
        """The stored tokens while they are good and not those that just failed, else the next ones."""
        async with _turn():
            login = read().logins.get(self.url)
            if login is None:
                raise LoginRequired(f"Nobody is logged in to {self.url}; run `codetect login {self.url}`.")
            left = int(login.expires_at - time.time())
            if left > SPARE_S and not (current and current.access_token == login.access_token):
                return Tokens(access_token=login.access_token, refresh_token=login.refresh_token, expires_in=left)
            try:
                tokens = await refresh(door, login.refresh_token or "")
            except LoginRequired as error:
                raise LoginRequired(f"The login to {self.url} has ended; run `codetect login {self.url}`.") from error
            _keep(self.url, tokens)
            return tokens


async def save(url: str, tokens: Tokens) -> None:
    """Keep a login, and make its facility the one meant when none is named."""
    async with _turn():
        _keep(url, tokens, default=url)


async def prove(url: str, proven: Tokens) -> None:
    """Keep another access token of the same login, if there is one."""
    async with _turn():
        if login := read().logins.get(url):
            _keep(url, proven.model_copy(update={"refresh_token": login.refresh_token}))


async def forget(url: str) -> str | None:
    """Remove a login; gives its refresh token, so that the server can be told."""
    async with _turn():
        kept = read()
        login = kept.logins.pop(url, None)
        if kept.default == url:
            kept.default = next(iter(kept.logins), None)
        private.write(_file(), kept.model_dump_json())
    return login.refresh_token if login else None


def read() -> Logins:
    """All logins; none when there is no file, or none that can be read."""
    try:
        return Logins.model_validate_json(_file().read_bytes())
    except (FileNotFoundError, ValidationError):
        return Logins()


def _keep(url: str, tokens: Tokens, default: str | None = None) -> None:
    kept = read()
    kept.default = default or kept.default
    kept.logins[url] = Login(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_at=time.time() + tokens.expires_in,
    )
    private.write(_file(), kept.model_dump_json())


@asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    deadline = time.monotonic() + PATIENCE_S
    while (file := private.lock(_file().with_suffix(".lock"))) is None:
        if time.monotonic() > deadline:
            raise CodetectError("Another codetect process has been renewing the login for over a minute; try again.")
        await asyncio.sleep(0.05)
    with file:
        yield


def _file() -> Path:
    return Path(platformdirs.user_config_path("codetect")) / "logins.json"
