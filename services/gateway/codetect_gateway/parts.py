"""The services behind the door: which path is whose, how each is reached, and what is said when one isn't."""

import ssl
from dataclasses import dataclass
from typing import ClassVar

import httpcore
import httpx
from codetect_shared.problems import Problem, ServiceUnavailable

from codetect_gateway.early import AttentiveBackend
from codetect_gateway.settings import Settings

API = "/api/v1"


@dataclass(frozen=True)
class Prefix:
    """A path, with all below it, that one service answers.

    Where `pacs` come in, API clients may log in with HTTP Basic, and requests have a limit of their own.
    """

    path: str
    part: str
    anonymous: bool = False
    any_size: bool = False
    pacs: bool = False


PREFIXES = (
    Prefix(f"{API}/facility", "auth", anonymous=True),
    Prefix(f"{API}/auth", "auth", anonymous=True),
    Prefix(f"{API}/access-requests", "auth", anonymous=True),
    Prefix(f"{API}/invitations", "auth", anonymous=True),
    Prefix(f"{API}/terms", "auth", anonymous=True),
    Prefix("/oauth/token", "auth", anonymous=True),
    Prefix("/.well-known/jwks.json", "auth", anonymous=True),
    Prefix(f"{API}/facilities", "auth"),
    Prefix(f"{API}/members", "auth"),
    Prefix(f"{API}/access-steps", "auth"),
    Prefix(f"{API}/api-clients", "auth"),
    Prefix(f"{API}/audit-events", "auth"),
    Prefix(f"{API}/webhooks", "auth"),
    Prefix(f"{API}/mails", "auth"),
    Prefix(f"{API}/undeliverable-addresses", "auth"),
    Prefix(f"{API}/uploads", "ingest"),
    Prefix(f"{API}/studies", "ingest"),
    Prefix(f"{API}/ingest", "ingest"),
    Prefix("/dicomweb", "ingest", any_size=True, pacs=True),
    Prefix(f"{API}/analyses", "inference"),
    Prefix(f"{API}/models", "inference", any_size=True),
    Prefix(f"{API}/feedback", "inference"),
    Prefix(f"{API}/views", "inference"),
    Prefix(f"{API}/jobs", "inference"),
    Prefix(f"{API}/analytics", "analytics"),
)
PARTS = ("auth", "ingest", "inference", "analytics")


def prefix_of(path: str) -> Prefix | None:
    """Which prefix this path lies below."""
    return next((p for p in PREFIXES if path == p.path or path.startswith(p.path + "/")), None)


def part_of(path: str) -> str | None:
    """Which service answers this path."""
    found = prefix_of(path)
    return found.part if found else None


class PartUnavailable(ServiceUnavailable):
    """A part of CoDetect does not answer at the moment; try again in a few seconds."""

    def __init__(self, part: str) -> None:
        super().__init__(f"The part that does not answer is {part}.", part=part)


class PartTooSlow(Problem):
    """A part of CoDetect took too long to answer."""

    status: ClassVar[int] = 504

    def __init__(self, part: str) -> None:
        super().__init__(f"The part that took too long is {part}.", part=part)


class Part:
    """One service: its address, and a pool of connections that no other service's trouble can use up.

    A bare transport, no client: a client would keep one visitor's cookies and send them with another's request.
    """

    def __init__(self, name: str, url: str, settings: Settings, tls: ssl.SSLContext) -> None:
        self.name = name
        self.url = httpx.URL(url)
        self.base = url.rstrip("/")
        self.timeouts = httpx.Timeout(settings.answer_timeout_s, connect=2, pool=5).as_dict()
        self.transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)
        self.transport._pool = httpcore.AsyncConnectionPool(  # httpx has no argument for the backend
            ssl_context=tls,
            max_connections=settings.connections_per_part,
            max_keepalive_connections=50,
            # Services keep idle connections for 65 s: whoever asks lets go first, or a request meets a closing door.
            keepalive_expiry=30,
            network_backend=AttentiveBackend(),
        )

    async def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """As `ask`."""
        return await self.ask("GET", path, headers)

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        """A small question of the gateway's own. Raises PartUnavailable."""
        extensions = {"timeout": httpx.Timeout(3).as_dict()}
        question = httpx.Request(method, self.base + path, headers=headers, content=content, extensions=extensions)
        try:
            answer = await self.transport.handle_async_request(question)
            await answer.aread()
        except httpx.HTTPError as error:
            raise PartUnavailable(self.name) from error
        return answer


def open_parts(settings: Settings) -> dict[str, Part]:
    """All services, by name."""
    tls = httpx.create_ssl_context(trust_env=False)
    return {name: Part(name, str(getattr(settings, f"{name}_url")), settings, tls) for name in PARTS}
