"""No operation of inference tells one facility of another's analyses, or touches them."""

from dataclasses import replace

import pytest
from codetect_shared.db import uuid7
from codetect_shared.tokens import Role

from tests.contract import SEEDED, Contract
from tests.inference.conftest import House
from tests.inference.test_contract import contract, facility  # noqa: F401 - fixtures
from tests.walls import Walls, walled

SERVICE = "inference"
pytestmark = SEEDED


@pytest.mark.parametrize("operation", walled(SERVICE))
async def test_anothers_is_as_if_it_were_not_there(contract: Contract, house: House, operation: str) -> None:  # noqa: F811
    walls = Walls(replace(contract, headers=house.tokens.headers(uuid7(), Role.ADMIN)))
    assert await walls.stand(operation) == 404
    mine = await contract.client.get(f"/api/v1/analyses/{contract.known['analysis_id']}", headers=contract.headers)
    assert mine.status_code == 200, "the owner still has it"
    assert mine.json()["status"] in ("queued", "running", "completed")
