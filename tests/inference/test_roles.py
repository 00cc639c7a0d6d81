"""Every route of inference as every role, against the table."""

from collections.abc import Mapping

from codetect_inference.app import api
from codetect_shared.db import uuid7

from tests.inference.conftest import House
from tests.roles import Who, differences


async def test_every_route_lets_in_whom_the_table_says(house: House) -> None:
    facility = uuid7()

    async def headers_of(who: Who, auth_time: int) -> Mapping[str, str]:
        return house.tokens.headers(facility, who[0], scopes=who[1], auth_time=auth_time)

    # The same routes; this one isn't started.
    assert await differences(api(house.settings), house.client, headers_of) == []
