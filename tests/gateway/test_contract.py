"""The gateway keeps to the documents: with its own operation to its own, with what it says for services to the merged.

Services that answer themselves are asked through it in tests/e2e/test_merged.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from codetect_gateway.parts import prefix_of
from codetect_shared.tokens import Role

from tests.contract import MERGED, POSITIVE, SEEDED, STRANGERS, Contract, operations
from tests.gateway.conftest import DEMO, OTHER, House, Process, gateway, token
from tests.ingest.media import with_boundary

SERVICE = "gateway"
READER = frozenset({"read"})
pytestmark = SEEDED


def bearer(*who: object, **claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*who, **claims)}"}


OPERATORS_OWN = [operation for operation in operations(SERVICE) if "/platform/" in operation]


@pytest.mark.parametrize("operation", [each for each in operations(SERVICE) if each not in OPERATORS_OWN])
async def test_everybody_is_answered_as_documented(house: House, operation: str) -> None:
    async with house.client(bearer=None) as client:
        for role in set(Role) - {Role.API_CLIENT}:
            assert await Contract(SERVICE, client, bearer(DEMO, role)).holds(operation) == {201}
        assert await Contract(SERVICE, client, bearer(DEMO, Role.API_CLIENT, scopes=READER)).holds(operation) == {201}
        assert await Contract(SERVICE, client, bearer(DEMO, Role.API_CLIENT)).holds(operation) == {403}
        for headers in [
            *STRANGERS,
            bearer(OTHER),
            {"Cookie": "__Host-codetect=nobody", "Sec-Fetch-Site": "same-origin"},
        ]:
            assert await Contract(SERVICE, client, headers).holds(operation) == {401}
        assert await Contract(SERVICE, client, {"Sec-Fetch-Site": "cross-site"}).holds(operation) == {403}
    async with house.client("nowhere", bearer=None) as client:
        assert await Contract(SERVICE, client, {}).holds(operation) == {404}


@pytest.mark.parametrize("operation", OPERATORS_OWN)
async def test_operators_are_answered_as_documented(house: House, operation: str) -> None:
    async with house.client(bearer=None) as client:
        found = await Contract(SERVICE, client, bearer(DEMO, Role.OPERATOR)).holds(operation)
        assert found <= ({404, 422} if "{" in operation else {200, 422})
        assert "{" in operation or 200 in found
        for role in set(Role) - {Role.OPERATOR}:
            assert 403 in await Contract(SERVICE, client, bearer(DEMO, role, scopes=READER)).holds(operation)
        for headers in [*STRANGERS, bearer(OTHER, Role.OPERATOR)]:
            assert 401 in await Contract(SERVICE, client, headers).holds(operation)


@dataclass
class Alone:
    """Gateways without services: one that has heard of the facility before, one that lets nobody ask twice."""

    away: Process
    strict: Process


@pytest.fixture(scope="module")
async def alone(house: House) -> AsyncIterator[Alone]:
    nowhere = {f"CODETECT_{name}_URL": f"http://127.0.0.1:{house.away}" for name in ("AUTH", "INGEST", "INFERENCE")}
    strict = {"CODETECT_GATEWAY_RATE_ANONYMOUS": "1"}
    async with gateway(house.environment | nowhere) as away, gateway(house.environment | strict) as slow:
        for process in (away, slow):
            await process.answers("/readyz")
        yield Alone(away, slow)


# One for each prefix and method; that what is said there is said at all of them, test_openapi.py looks at.
ONE_OF_EACH = {(prefix_of(name.split()[1]), name.split()[0]): name for name in operations(MERGED)}


@pytest.mark.parametrize("operation", ONE_OF_EACH.values())
async def test_what_it_answers_for_services_is_documented(house: House, alone: Alone, operation: str) -> None:
    async def answers(status: int, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        async with client:
            contract = Contract(MERGED, client, headers, amend=with_boundary)
            assert await contract.holds(operation, examples=1, only=(status,), modes=[POSITIVE]) == {status}

    await answers(404, house.client("nowhere", bearer=None), bearer())
    await answers(401, house.client(bearer=None), bearer(OTHER))
    await answers(403, house.client(bearer=None), {"Sec-Fetch-Site": "cross-site"})
    await answers(503, house.client(bearer=None, gateway=alone.away), bearer())
    while time.time() % 60 > 58:  # the next minute's first is let in
        await asyncio.sleep(0.1)
    async with house.client(bearer=None, gateway=alone.strict) as first:
        await first.get("/api/v1/facility")
    await answers(429, house.client(bearer=None, gateway=alone.strict), STRANGERS[1])
