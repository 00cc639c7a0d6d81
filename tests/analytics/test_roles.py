"""Every route of analytics as every role, against the table."""

import asyncio
from collections.abc import Mapping

from codetect_analytics.app import api
from codetect_shared.db import uuid7
from codetect_shared.testing import Tokens, running

from tests.analytics.conftest import House
from tests.roles import Who, differences


async def test_every_route_lets_in_whom_the_table_says(house: House) -> None:
    tokens, facility, app = Tokens(), uuid7(), api(house.settings)

    async def headers_of(who: Who, auth_time: int) -> Mapping[str, str]:
        return tokens.headers(facility, who[0], scopes=who[1], auth_time=auth_time)

    with house.projecting():
        while not await house.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'figures'"):
            await asyncio.sleep(0.05)
    async with running(app, tokens) as client:
        assert await differences(app, client, headers_of) == []
