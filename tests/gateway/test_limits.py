"""How many requests a minute: counted by all gateways together, without a wait for Postgres."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from codetect_gateway import limits
from codetect_gateway.limits import Limits, TooFast, address_key
from codetect_shared.db import Database
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed

from tests.gateway.conftest import DEMO, House, gateway, token
from tests.infrastructure import Infrastructure


@pytest.fixture
async def db(infra: Infrastructure) -> AsyncIterator[Database]:
    await infra.migrate("gateway")
    urls = (SecretStr(infra.environment[f"CODETECT_GATEWAY_DATABASE_{role}URL"]) for role in ("", "SYSTEM_"))
    db = Database(*urls)
    yield db
    await db.close()


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough of the minute left, so that it doesn't end within a test; nothing counted before it."""
    now = time.time() // 60 * 60 + 3600 * 24 * (1 + time.monotonic_ns() % 10_000)
    monkeypatch.setattr(limits.time, "time", lambda: now)


async def test_the_limit_is_the_limit(db: Database, minute: None) -> None:
    mine = Limits(db)
    for _ in range(5):
        mine.take("a", 5)
    with pytest.raises(TooFast) as refused:
        mine.take("a", 5)
    mine.take("b", 5)
    assert 0 < int(refused.value.response().headers["retry-after"]) <= 60


async def test_no_limit_counts_nothing(db: Database, minute: None) -> None:
    mine = Limits(db)
    for _ in range(100):
        mine.take("a", 0)


async def test_processes_count_together(db: Database, minute: None) -> None:
    one, two = Limits(db), Limits(db)
    for _ in range(3):
        one.take("shared", 5)
        two.take("shared", 5)
    await one.tell()
    await two.tell()
    with pytest.raises(TooFast):
        two.take("shared", 5)
    one.take("shared", 7)
    await one.tell()
    with pytest.raises(TooFast):
        one.take("shared", 7)


async def test_counting_goes_on_while_telling(db: Database, minute: None) -> None:
    mine, other = Limits(db), Limits(db)
    for _ in range(20):
        for _ in range(10):
            mine.take("busy", 10_000)
        await asyncio.gather(mine.tell(), mine.tell())
    other.take("busy", 10_000)
    await other.tell()
    with pytest.raises(TooFast):
        other.take("busy", 201)


async def test_a_new_minute_begins_with_nothing(db: Database, minute: None, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Limits(db)
    mine.take("a", 1)
    await mine.tell()
    later = limits.time.time() + 61
    monkeypatch.setattr(limits.time, "time", lambda: later)
    mine.take("a", 1)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.0.0.1", "address:10.0.0.1"),
        ("::ffff:10.0.0.1", "address:10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("", "address:"),
    ],
)
def test_a_customers_line_is_one_address(address: str, key: str) -> None:
    assert address_key(address) == key


async def test_a_person_over_the_limit_is_told_when_to_come_back(house: House) -> None:
    limited = house.environment | {"CODETECT_GATEWAY_RATE_PERSON": "20", "CODETECT_GATEWAY_RATE_ANONYMOUS": "10"}
    async with gateway(limited) as small:
        await small.answers("/healthz")
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        bearer = token()
        async with house.client(DEMO, bearer, small) as client:
            answers = [await client.get("/api/v1/studies/echo") for _ in range(25)]
        assert [answer.status_code for answer in answers] == [201] * 20 + [429] * 5
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].headers["content-type"] == "application/problem+json"
        async with house.client(DEMO, token(), small) as client:
            assert (await client.get("/api/v1/studies/echo")).status_code == 201
        async with house.client(DEMO, "guess.guess.guess", small) as client:
            guesses = [(await client.get("/api/v1/studies/echo")).status_code for _ in range(12)]
        assert guesses == [401] * 10 + [429] * 2
        async with house.dial(gateway=small) as refused:
            with pytest.raises(ConnectionClosed, match="1013"):
                await refused.recv()


async def test_what_one_gateway_let_through_counts_at_the_other(house: House) -> None:
    limited = house.environment | {"CODETECT_GATEWAY_RATE_PERSON": "30"}
    async with gateway(limited) as one, gateway(limited) as two:
        for process in (one, two):
            await process.answers("/readyz")
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        bearer = token()
        async with house.client(DEMO, bearer, one) as first, house.client(DEMO, bearer, two) as second:
            for _ in range(29):
                await first.get("/api/v1/studies/echo")
            passed = 0
            while (await second.get("/api/v1/studies/echo")).status_code == 201:
                passed += 1
                await asyncio.sleep(0.5)
            assert passed < 10
