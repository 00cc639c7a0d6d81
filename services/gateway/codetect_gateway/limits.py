"""How many requests a minute one address or person may send, counted by all gateway processes together.

A process counts in memory and tells Postgres once a second; what it gets back are everybody's counts. No request waits
for Postgres, and a limit can be passed only by what the other processes let through within that second.
"""

import ipaddress
import time
from collections import Counter

from codetect_shared.db import Database
from codetect_shared.problems import TooManyRequests
from fastapi.responses import JSONResponse
from sqlalchemy import text

MINUTE_S = 60
TELL_S = 1.0
ADD = text("""
    INSERT INTO rate_count (minute, key, n)
    SELECT :minute, key, n FROM unnest(CAST(:keys AS text[]), CAST(:counts AS int[])) AS t (key, n) ORDER BY key
    ON CONFLICT (minute, key) DO UPDATE SET n = rate_count.n + excluded.n
    RETURNING key, n
""")
SWEEP = text("DELETE FROM rate_count WHERE minute < :minute")


class TooFast(TooManyRequests):
    """Too many requests; try again when the minute is over."""

    def __init__(self, limit: int, wait_s: int) -> None:
        super().__init__(f"The limit is {limit} requests a minute. Try again in {wait_s} s.", retry_after_s=wait_s)
        self.wait_s = wait_s

    def response(self) -> JSONResponse:
        """With Retry-After."""
        response = super().response()
        response.headers["Retry-After"] = str(self.wait_s)
        return response


class Limits:
    """Counts by key within the current minute."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._minute = 0
        self._told: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()

    def take(self, key: str, limit: int) -> None:
        """Count a request. Raises TooFast."""
        self.check(key, limit)
        self._untold[key] += 1

    def check(self, key: str, limit: int) -> None:
        """Raises TooFast when the next request would be one too many; a limit of 0 is none."""
        minute, second = divmod(int(time.time()), MINUTE_S)
        self._turn(minute)
        if limit and self._told[key] + self._untold[key] >= limit:
            raise TooFast(limit, MINUTE_S - second)

    async def tell(self) -> None:
        """Add this process's counts to everybody's, and learn those."""
        minute, counts = self._minute, self._untold
        if not counts:
            return
        self._told.update(counts)
        self._untold = Counter()
        values = {"minute": minute, "keys": list(counts), "counts": list(counts.values())}
        async with self._db.system() as session:
            everybody = Counter({row.key: row.n for row in await session.execute(ADD, values)})
        if minute == self._minute:
            self._told |= everybody

    async def sweep(self) -> None:
        """Forget what counts no longer."""
        async with self._db.system() as session:
            await session.execute(SWEEP, {"minute": int(time.time() // MINUTE_S) - 1})

    def _turn(self, minute: int) -> None:
        """A new minute begins with nothing counted; the last second of the old one need not be told."""
        if minute != self._minute:
            self._minute, self._told, self._untold = minute, Counter(), Counter()


def address_key(address: str) -> str:
    """One key for an IPv4 address, one for an IPv6 network of 64 bits: what one line of a customer has."""
    return f"address:{_network(address) if ':' in address else address}"


def _network(address: str) -> str:
    ip = ipaddress.IPv6Address(address.partition("%")[0])
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
