"""Where the request in hand comes from, for whatever is written down about it."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True)
class Origin:
    """The client's address as the gateway, the only door, reports it; and the request's id, if it looks like one."""

    address: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], peer: str | None, request_id: str) -> "Origin":
        """Without a gateway, the address is the connection's own."""
        address = address_in(headers, peer)
        return cls(address if _NAME.fullmatch(address) else None, request_id if _NAME.fullmatch(request_id) else None)


def address_in(headers: Mapping[str, str], peer: str | None) -> str:
    """The client's address as the nearest proxy, the gateway, reports it; else the connection's own."""
    return headers.get("x-forwarded-for", peer or "").rsplit(",", 1)[-1].strip()


NOWHERE = Origin()
ORIGIN: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)
"""Set by the application around each request; empty where nobody asked: in workers, consumers and commands."""
