"""Against guessing: each further try at a secret waits longer, counted in Postgres so that all processes share it.

A try is counted before it is looked at, so that a thousand parallel tries are a thousand tries; success takes it back.
Tries that are refused aren't counted: whoever knows the secret waits `longest_s` at most (docs/adr/0043).
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from codetect_shared.problems import TooManyRequests
from fastapi.responses import JSONResponse
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import Throttle

FORGET_S = 3600


@dataclass(frozen=True)
class Policy:
    """`free` tries, then a wait of `first_s` that doubles up to `longest_s`."""

    free: int
    first_s: int
    longest_s: int = 900


ACCOUNT = Policy(free=5, first_s=30)
ADDRESS = Policy(free=50, first_s=10)


class TooManyAttempts(TooManyRequests):
    """Too many attempts; wait a while and try again."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Try again in {wait_s} seconds.", retry_after_s=wait_s)
        self.wait_s = wait_s

    def response(self) -> JSONResponse:
        """With Retry-After."""
        response = super().response()
        response.headers["Retry-After"] = str(self.wait_s)
        return response


TAKE = text("""
    INSERT INTO throttle AS t (key, attempts, next_at, touched_at)
    VALUES (:key, 1, clock_timestamp(), clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET
        attempts = t.attempts + 1,
        touched_at = clock_timestamp(),
        next_at = clock_timestamp() + interval '1 second' * CASE
            WHEN t.attempts + 1 < CAST(:free AS int) THEN 0
            ELSE least(CAST(:longest AS int), CAST(:first AS int) * 2 ^ least(t.attempts + 1 - CAST(:free AS int), 20))
        END
    WHERE t.next_at <= clock_timestamp()
    RETURNING t.attempts
""")


async def take(session: AsyncSession, key: str, policy: Policy) -> None:
    """Count a try, in a transaction that ends before the secret is looked at; TooManyAttempts when it is too early."""
    values = {"key": key, "free": policy.free, "first": policy.first_s, "longest": policy.longest_s}
    if (await session.execute(TAKE, values)).first() is None:
        wait = func.ceil(func.extract("epoch", Throttle.next_at - func.clock_timestamp()))
        raise TooManyAttempts(max(1, int(await session.scalar(select(wait).where(Throttle.key == key)) or 1)))


async def give_back(session: AsyncSession, *keys: str) -> None:
    """Take back a try that was right, and the wait it brought; earlier wrong ones stay counted."""
    back = {"attempts": func.greatest(Throttle.attempts - 1, 0), "next_at": func.clock_timestamp()}
    await session.execute(update(Throttle).where(Throttle.key.in_(keys)).values(back))


async def clear(session: AsyncSession, *keys: str) -> None:
    """Forget all tries at what has now been proven."""
    await session.execute(delete(Throttle).where(Throttle.key.in_(keys)))


def account_key(facility: str, email_key: str, known_address: str | None) -> str:
    """An address that the account has logged in from counts by itself: strangers don't lock its owner out."""
    name = hashlib.sha256(f"{facility}\n{email_key}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"account:{name}:{known_address or ''}"


def address_key(address: str) -> str:
    """One key for an IPv4 address, or for the /64 that one IPv6 customer has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return f"address:{address}"
    return f"address:{ipaddress.ip_network((ip, 64 if ip.version == 6 else 32), strict=False)}"


def factor_key(person_id: UUID) -> str:
    """Codes of a person's second factors, whichever login they are for."""
    return f"factor:{person_id}"


async def sweep(session: AsyncSession) -> None:
    """Forget what nobody tried for an hour."""
    quiet = Throttle.touched_at < func.clock_timestamp() - timedelta(seconds=FORGET_S)
    await session.execute(delete(Throttle).where(quiet))
