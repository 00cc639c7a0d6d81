"""Every route of auth as every role, against the table."""

from collections.abc import Mapping

from codetect_shared.tokens import Principal, Role, issue

from tests.auth.access.conftest import desk_of
from tests.auth.conftest import House
from tests.roles import Who, differences


async def test_every_route_lets_in_whom_the_table_says(house: House) -> None:
    admin = await desk_of(house)
    made = (await admin.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    key = await current_key(house)

    async def headers_of(who: Who, auth_time: int) -> Mapping[str, str]:
        role, scopes = who
        if role is Role.API_CLIENT:
            subject, facility = made["client_id"], admin.facility
        else:
            desk = await desk_of(house, role, None if role is Role.OPERATOR else admin.facility)
            subject, facility = (await desk.ask("GET", "/auth/me")).json()["id"], desk.facility
        principal = Principal(subject, facility.id, facility.slug, role, scopes, auth_time=auth_time)
        return {"Authorization": f"Bearer {issue(principal, key, issuer=house.auth.settings.issuer)}"}

    assert await differences(house.app, admin.client, headers_of) == []


async def current_key(house: House) -> object:
    async with house.auth.db.system() as session:
        return await house.auth.keys.current(session)
