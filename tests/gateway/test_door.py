"""The door behind a proxy that it trusts, and while auth is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.gateway.conftest import DEMO, OTHER, House, Process, free_port, gateway, upstream

OUTSIDE = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@dataclass
class Apart:
    """A gateway behind a trusted proxy, with an auth of its own."""

    process: Process
    auth: Process


@pytest.fixture(scope="module")
async def apart(house: House) -> AsyncIterator[Apart]:
    port = free_port()
    environment = {"CODETECT_AUTH_URL": f"http://127.0.0.1:{port}", "CODETECT_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    async with upstream(port) as auth, gateway(house.environment | environment) as process:
        await auth.answers("/.well-known/jwks.json")
        await process.answers("/readyz")
        yield Apart(process, auth)


async def test_a_trusted_proxy_says_where_a_request_comes_from(house: House, apart: Apart) -> None:
    async with house.client(gateway=apart.process) as client:
        answer = await client.get("/api/v1/studies/echo", headers=OUTSIDE)
    inside = dict(answer.json()["headers"])
    assert (inside["x-forwarded-for"], inside["x-forwarded-proto"]) == ("203.0.113.9", "https")


async def test_metrics_are_not_for_whoever_reaches_the_public_port(house: House, apart: Apart) -> None:
    async with house.client(gateway=apart.process) as client:
        outside = await client.get("/metrics", headers=OUTSIDE)
        assert outside.status_code == 404
        assert outside.headers["content-type"] == "application/problem+json"
        assert (await client.get("/metrics")).status_code == 200


async def test_while_auth_is_away_the_rest_goes_on(house: House, apart: Apart) -> None:
    async with (
        house.client(DEMO, gateway=apart.process) as known,
        house.client(OTHER, gateway=apart.process) as unknown,
    ):
        assert (await known.get("/api/v1/studies/echo")).status_code == 201
        await apart.auth.stop()
        await asyncio.sleep(1.5)  # longer than an answer is believed
        for _ in range(3):
            assert (await known.get("/api/v1/studies/echo")).status_code == 201
        away = await unknown.get("/api/v1/studies/echo")
        login = await known.post("/api/v1/auth/login", json={})
    assert (away.status_code, away.json()["part"]) == (503, "auth")
    assert (login.status_code, login.json()["part"]) == (503, "auth")


async def test_a_gateway_that_is_up_before_auth_lets_people_in_as_soon_as_auth_is_there(house: House) -> None:
    port = free_port()
    early = house.environment | {"CODETECT_AUTH_URL": f"http://127.0.0.1:{port}"}
    async with gateway(early) as process, house.client(gateway=process) as client:
        await process.answers("/readyz")
        assert (await client.get("/api/v1/studies/echo")).status_code == 503
        async with upstream(port) as auth:
            await auth.answers("/.well-known/jwks.json")
            started = time.monotonic()
            while (await client.get("/api/v1/studies/echo")).status_code == 503:
                assert time.monotonic() - started < 1
