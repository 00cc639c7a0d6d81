"""Every operation of analytics keeps to its document, whatever it is asked, and asks who is there first."""

import asyncio
from dataclasses import replace

import pytest
from codetect_shared.db import uuid7

from tests.analytics.conftest import House
from tests.contract import SEEDED, STRANGERS, Contract, operations

SERVICE = "analytics"
pytestmark = SEEDED


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_it_answers_as_documented_and_tells_strangers_to_log_in(house: House, operation: str) -> None:
    async with house.asking(uuid7()) as client:
        with house.projecting():  # it makes the figures
            async with asyncio.timeout(30):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.1)
        headers = {"Authorization": client.headers.pop("Authorization")}
        contract = Contract(SERVICE, client, headers)
        await contract.holds(operation)
        for nobody in STRANGERS:
            await replace(contract, headers=nobody).holds(operation, examples=1, only=(401,))
