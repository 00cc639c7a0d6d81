"""Every operation of auth keeps to its document, whatever it is asked; those that need a login say so first."""

from dataclasses import replace

import pytest
from codetect_shared.tokens import Role

from tests.auth.conftest import House
from tests.contract import SEEDED, STRANGERS, Contract, operations, secured

SERVICE = "auth"
pytestmark = SEEDED


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR])
@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_whoever_may_most_is_answered_as_documented(house: House, operation: str, role: Role) -> None:
    account = await house.account(role)
    tokens = await account.enrol()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    contract = Contract(SERVICE, account.client, headers)
    await contract.holds(operation, examples=3)
    for nobody in STRANGERS if secured(SERVICE, operation) else []:
        await replace(contract, headers=nobody).holds(operation, examples=1, only=(401,))
