"""What tests of the services share: signed tokens as auth issues them, and an application running in this process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import httpx
from fastapi import FastAPI

from codetect_shared.db import Database, uuid7
from codetect_shared.jobs import JobRow, Jobs
from codetect_shared.tokens import JwksCache, Principal, Role, SigningKey, issue

Job = TypeVar("Job", bound=JobRow)


class Tokens:
    """A signing key of its own, and the tokens of whoever a test needs."""

    def __init__(self, issuer: str = "codetect") -> None:
        self.issuer, self.key = issuer, SigningKey.generate()

    def jwks(self) -> JwksCache:
        """The key cache an application would have filled from auth."""

        async def fetch() -> Any:
            return {"keys": [self.key.public_jwk()]}

        return JwksCache(fetch, self.issuer, time.monotonic)

    def headers(self, facility_id: UUID, role: Role = Role.MEMBER, slug: str = "demo", **rest: Any) -> dict[str, str]:
        """The header with which somebody of a facility asks."""
        principal = Principal(str(uuid7()), facility_id, slug, role, **{"auth_time": int(time.time())} | rest)
        return {"Authorization": f"Bearer {issue(principal, self.key, issuer=self.issuer)}"}


@asynccontextmanager
async def running(app: FastAPI, tokens: Tokens) -> AsyncIterator[httpx.AsyncClient]:
    """The application with its lifespan, its background parts, and a client that talks to it without a socket.

    Surprises are answered as in production (500), not raised.
    """
    async with app.router.lifespan_context(app):
        app.state.jwks = tokens.jwks()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://demo.localhost") as client:
            yield client


async def claimed(jobs: Jobs[Job], db: Database) -> Job:
    """The job that is due, claimed; also when the reaper, say, holds its row just now. LookupError if none is."""
    for _ in range(100):
        if job := await jobs.claim(db):
            return job
        await asyncio.sleep(0.05)
    raise LookupError(f"Nothing is due in {jobs.table.__name__}.")
