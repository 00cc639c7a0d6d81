"""What auth's use cases work with: the parts that were opened for the process, and who is at the door."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Annotated

from codetect_shared.db import Database
from codetect_shared.origin import address_in
from fastapi import Depends, Request
from sqlalchemy import select

from codetect_auth.keys import SigningKeys
from codetect_auth.models import Facility, Status
from codetect_auth.passwords import Passwords
from codetect_auth.settings import Settings


@dataclass(frozen=True)
class Auth:
    """The parts that use cases need."""

    settings: Settings
    db: Database
    passwords: Passwords
    keys: SigningKeys

    async def facility_of(self, host: str) -> Facility | None:
        """The facility whose host name this is (`<slug>.<base domain>`, any port)."""
        name, _, domain = host.rsplit(":", 1)[0].lower().partition(".")
        if domain != self.settings.base_domain.lower():
            return None
        async with self.db.system() as session:
            return (await session.scalars(select(Facility).where(Facility.slug == name))).one_or_none()


@dataclass(frozen=True)
class Caller:
    """Where a request comes from: the facility its host names, its address and device, when it arrived, the host."""

    facility: Facility | None
    address: str
    device: str
    arrived: float
    host: str = ""

    @property
    def waited_s(self) -> float:
        """How long the request has been here."""
        return time.monotonic() - self.arrived

    def active_facility(self) -> Facility | None:
        """The facility, while its people may work."""
        return self.facility if self.facility and self.facility.status == Status.ACTIVE else None


async def get_auth(request: Request) -> Auth:
    """The parts that the lifespan opened."""
    auth: Auth = request.app.state.auth
    return auth


AuthDep = Annotated[Auth, Depends(get_auth)]


async def get_caller(request: Request, auth: AuthDep) -> Caller:
    """Host and address as the gateway, the only door, reports them; without a gateway, as the connection has them."""
    arrived, headers, peer = time.monotonic(), request.headers, request.client
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    address = address_in(headers, peer.host if peer else None)[:45]
    device = "".join(filter(str.isprintable, headers.get("user-agent", "")))[:200]
    return Caller(await auth.facility_of(host), address, device, arrived, host.lower())


CallerDep = Annotated[Caller, Depends(get_caller)]


def opaque_token() -> str:
    """256 random bits for a token that only its hash is kept of."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is kept of an opaque token; it is random, so a fast hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
