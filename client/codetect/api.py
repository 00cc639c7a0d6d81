"""HTTP to one facility: names below `.localhost`, bearer tokens, problems as exceptions, patience with restarts."""

import asyncio
import random
import ssl
import time
from collections.abc import AsyncGenerator, Iterator
from importlib.metadata import version
from typing import IO, Any, TypeVar

import certifi
import httpx
from pydantic import BaseModel, ValidationError

from codetect.credentials import Credentials
from codetect.errors import CodetectError, LoginRequired, Refused, Unreachable
from codetect.models import Tokens

M = TypeVar("M", bound=BaseModel)
LOOPBACK = "127.0.0.1"
TRANSIENT = frozenset({408, 429, 502, 503, 504})
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=32)
TIMEOUT = httpx.Timeout(60, connect=5, pool=None)
RENEW_BEFORE_S = 60


class Api:
    """Requests to one facility's host. `patience_s` is how long a server that is away is asked again."""

    def __init__(self, url: str, credentials: Credentials | None, patience_s: float) -> None:
        self.url, self.address = origin(url), address(url)
        self.tls = tls_context() if self.url.scheme == "https" else None
        self.http = http_client(self.tls)
        self.bearer = Bearer(self, credentials)
        self._patience_s = patience_s

    async def request(
        self, method: str, path: str, *, bearer: bool = True, retry: bool | None = None, **rest: Any
    ) -> httpx.Response:
        """A successful answer, or `Refused` or `Unreachable`.

        `retry` (by default for GET alone) says that asking twice does no harm; what never reached the server is sent
        again in any case.
        """
        retry = method == "GET" if retry is None else retry
        deadline = time.monotonic() + self._patience_s
        for pause in backoff():
            failure: CodetectError
            try:
                auth = self.bearer if bearer else None
                response = await self.http.request(method, self.url.join(path), auth=auth, **rest)
            except httpx.TransportError as error:
                failure = Unreachable(f"{self.address} can't be reached ({type(error).__name__}: {error}).")
                again = retry or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            else:
                if response.is_success:
                    return response
                failure = refusal(response)
                again = retry and response.status_code in TRANSIENT
                pause = max(pause, _retry_after(response))
            if not again or time.monotonic() + pause > deadline:
                raise failure
            await asyncio.sleep(pause)
        raise AssertionError("backoff never ends")

    async def download(self, path: str, file: IO[bytes], **rest: Any) -> None:
        """Write what a GET answers into a file, however large it is. Raises `Refused`, `Unreachable`."""
        try:
            async with self.http.stream("GET", self.url.join(path), auth=self.bearer, **rest) as response:
                if not response.is_success:
                    await response.aread()
                    raise refusal(response)
                async for piece in response.aiter_bytes():
                    await asyncio.to_thread(file.write, piece)
        except httpx.TransportError as error:
            raise Unreachable(f"{self.address} broke off ({type(error).__name__}: {error}).") from error

    async def get(self, kind: type[M], path: str, **rest: Any) -> M:
        """What a GET answers, as a model."""
        return parse(kind, await self.request("GET", path, **rest))

    async def post(self, kind: type[M], path: str, **rest: Any) -> M:
        """What a POST answers, as a model."""
        return parse(kind, await self.request("POST", path, **rest))


class Bearer(httpx.Auth):
    """Puts a good access token on each request: got once, renewed a minute before it ends, or when it is refused."""

    def __init__(self, api: Api, credentials: Credentials | None) -> None:
        self.credentials = credentials
        self._api = api
        self._tokens: Tokens | None = None
        self._good_until = 0.0
        self._lock = asyncio.Lock()

    def set(self, tokens: Tokens) -> None:
        """Use these tokens from now on."""
        self._tokens = tokens
        self._good_until = time.monotonic() + tokens.expires_in - min(RENEW_BEFORE_S, tokens.expires_in / 2)

    def replace(self, proven: Tokens) -> Tokens:
        """Use another access token of the same login, whose refresh token stays."""
        kept = self._tokens.refresh_token if self._tokens else None
        self.set(proven.model_copy(update={"refresh_token": kept}))
        return proven

    async def token(self, refused: str | None = None) -> str:
        """An access token other than `refused`; raises `LoginRequired`."""
        async with self._lock:
            if self._tokens and self._tokens.access_token != refused and time.monotonic() < self._good_until:
                return self._tokens.access_token
            if self.credentials is None:
                raise LoginRequired(f"Log in to {self._api.address} first.")
            self.set(await self.credentials.tokens(self._api, self._tokens))
            assert self._tokens
            return self._tokens.access_token

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Send with a token; once more with a new one if it is refused."""
        token = await self.token()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {await self.token(refused=token)}"
            yield request


class Loopback(httpx.AsyncHTTPTransport):
    """Dials this machine for names below `.localhost` (RFC 6761), which Python's resolver doesn't know."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The same request, name and all, to the loopback address."""
        dialled = httpx.Request(
            request.method,
            request.url.copy_with(host=LOOPBACK),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return await super().handle_async_request(dialled)


def http_client(tls: ssl.SSLContext | None) -> httpx.AsyncClient:
    """A client that finds `*.localhost`; for all other names the environment's proxies hold."""
    verify: ssl.SSLContext | bool = tls or True
    return httpx.AsyncClient(
        headers={"User-Agent": f"codetect/{version('codetect')}", "Accept": "application/json"},
        limits=LIMITS,
        timeout=TIMEOUT,
        verify=verify,
        mounts={"all://*.localhost": Loopback(limits=LIMITS, verify=verify)},
    )


def tls_context() -> ssl.SSLContext:
    """Trusts the public authorities and those of this machine: clinics have their own."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def origin(url: str) -> httpx.URL:
    """The facility's address alone; a bare host name is meant as https, a local one as http."""
    text = url.strip()
    if "://" not in text:
        host = text.partition("/")[0].partition(":")[0]
        text = ("http://" if is_localhost(host) else "https://") + text
    try:
        parsed = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise CodetectError(f"{url!r} is not an address: {error}.") from None
    sound = parsed.host and "%" not in parsed.host and (parsed.port or 0) < 1 << 16
    if parsed.scheme not in ("http", "https") or not sound:
        raise CodetectError(f"{url!r} is not an address such as https://clinic.example.org.")
    return httpx.URL(scheme=parsed.scheme, host=parsed.host, port=parsed.port, path="/")


def address(url: str) -> str:
    """The facility's address as text, always written the same way."""
    return str(origin(url)).rstrip("/")


def is_localhost(host: str) -> bool:
    """Whether a name means this machine (RFC 6761, section 6.3)."""
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def refusal(response: httpx.Response) -> Refused:
    """The problem in an answer, or what can be said without one."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return Refused(response.status_code, body if isinstance(body, dict) else {})


def parse(kind: type[M], response: httpx.Response) -> M:
    """An answer as a model."""
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise Unreachable(f"{response.url} gave an answer this client doesn't understand: {error}") from None


def backoff(first_s: float = 0.1, most_s: float = 3.0) -> Iterator[float]:
    """Pauses in seconds, doubling and jittered, without end."""
    pause = first_s
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        pause = min(pause * 2, most_s)


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(float(response.headers.get("Retry-After", 0)), 10)
    except ValueError:
        return 0
