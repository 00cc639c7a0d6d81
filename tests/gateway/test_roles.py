"""The gateway's own routes as every role, against the table; and that no service has a route that isn't in it."""

from collections.abc import Mapping
from typing import Any

from codetect_gateway.app import api
from codetect_gateway.settings import Settings
from codetect_shared.proving import OPEN, STEP_UP
from codetect_shared.roles import ADMINS, BOTH, BY_ROUTE, OPERATORS, TABLE
from codetect_shared.tokens import Role, StepUpRequired

from tests.gateway.conftest import DEMO, House, token
from tests.roles import Who, differences


async def test_every_route_of_its_own_lets_in_whom_the_table_says(house: House) -> None:
    async def headers_of(who: Who, auth_time: int) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token(DEMO, who[0], scopes=who[1], auth_time=auth_time)}"}

    async with house.client(DEMO, None) as client:
        assert await differences(api(Settings.model_construct(**SETTINGS)), client, headers_of) == []


SETTINGS: dict[str, Any] = {}


def test_a_viewer_changes_nothing_but_what_is_their_own() -> None:
    writing = [
        doing.what
        for doing in TABLE
        if doing.who and Role.VIEWER in doing.who and not doing.reads
        if any(not route.startswith("GET ") for route in doing.routes)
    ]
    assert writing == [
        "look after one's own account: logins, password, second factors, mail, terms",
        "keep views of the worklist for oneself",
    ]


def test_what_only_admins_and_operators_change_takes_a_proof_or_says_why_not() -> None:
    deciding = {route for route, doing in BY_ROUTE.items() if doing.who in (ADMINS, BOTH, OPERATORS)}
    changing = {route for route in deciding if not route.startswith("GET ")}
    assert changing == (STEP_UP & deciding) | OPEN.keys()
    assert not STEP_UP & OPEN.keys()
    assert BY_ROUTE.keys() >= STEP_UP
    assert all(OPEN.values())


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
    there = {f"{how.upper()} {path}": said for path, item in document["paths"].items() for how, said in item.items()}
    assert set(routes) == there.keys()
    refusals = {route: said["responses"].get("403", {}).get("description", "") for route, said in there.items()}
    assert {route for route, said in refusals.items() if StepUpRequired.title() in said} == STEP_UP
