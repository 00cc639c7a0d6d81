"""The gateway's own routes as every role, against the table; and that no service has a route that isn't in it."""

from collections.abc import Mapping
from typing import Any

from codetect_gateway.app import api
from codetect_gateway.settings import Settings
from codetect_shared.roles import BY_ROUTE, TABLE
from codetect_shared.tokens import Role

from tests.gateway.conftest import DEMO, House, token
from tests.roles import Who, differences


async def test_every_route_of_its_own_lets_in_whom_the_table_says(house: House) -> None:
    async def headers_of(who: Who) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token(DEMO, who[0], scopes=who[1])}"}

    async with house.client(DEMO, None) as client:
        assert await differences(api(Settings.model_construct(**SETTINGS)), client, headers_of) == []


SETTINGS: dict[str, Any] = {}


def test_a_viewer_changes_nothing_but_the_own_account() -> None:
    writing = [
        doing.what
        for doing in TABLE
        if doing.who and Role.VIEWER in doing.who and not doing.reads
        if any(not route.startswith("GET ") for route in doing.routes)
    ]
    assert writing == ["look after one's own account: logins, password, second factors, mail, terms"]


def test_every_role_reads_its_facilitys_figures() -> None:
    figures = [route for route in BY_ROUTE if "/analytics/" in route]
    assert len(figures) == 2
    assert all(BY_ROUTE[route].who == frozenset(Role) for route in figures)


def test_the_table_has_no_route_twice_and_none_that_is_gone() -> None:
    import json
    from pathlib import Path

    routes = [route for doing in TABLE for route in doing.routes]
    assert len(routes) == len(set(routes))
    document = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
    there = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert set(routes) == there
