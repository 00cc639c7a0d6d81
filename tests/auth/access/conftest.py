"""Somebody from outside, and an admin who is logged in."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from codetect_auth.models import Facility
from codetect_shared.tokens import Role

from tests.auth.conftest import Account, House

PASSWORD = "seven quiet herons"


@dataclass
class Desk:
    """A facility, somebody with an access token in it, and people who come to its door."""

    house: House
    facility: Facility
    account: Account
    access_token: str
    client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.house.client(self.account.host)

    async def ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """As who sits at the desk."""
        headers = {"Authorization": f"Bearer {self.access_token}", **rest.pop("headers", {})}
        return await self.account.client.request(method, f"/api/v1{path}", headers=headers, **rest)

    async def knock(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """As somebody from outside."""
        return await self.client.request(method, f"/api/v1{path}", **rest)

    async def request(self, email: str | None = None, **body: Any) -> str:
        email = email or f"{secrets.token_hex(6)}@clinic.example"
        wish = {"email": email, "name": "Nora New", "role": "member", "reason": "I read CTs here"} | body
        answer = await self.knock("POST", "/access-requests", json=wish)
        assert (answer.status_code, answer.content) == (202, b"null"), answer.text
        return email

    async def confirm(self, email: str) -> httpx.Response:
        token = await self.house.token(email, "confirm_address")
        return await self.knock("POST", "/access-requests/confirm", json={"token": token})

    async def waiting(self, email: str) -> dict[str, Any]:
        listed = (await self.ask("GET", "/access-requests?limit=200")).json()["items"]
        [found] = [item for item in listed if item["email"] == email]
        return dict(found)

    async def accept(self, email: str, password: str = PASSWORD, token: str = "", version: int = 0) -> httpx.Response:
        token = token or await self.house.token(email, "invitation")
        version = version or (await self.knock("GET", "/terms")).json()["version"]
        body = {"token": token, "password": password, "terms_version": version}
        return await self.knock("POST", "/invitations/accept", json=body)

    def account_of(self, email: str, password: str = PASSWORD) -> Account:
        return Account(self.client, email, password)

    async def steps(self, **query: str) -> list[dict[str, Any]]:
        return list((await self.ask("GET", "/access-steps", params={"limit": 200, **query})).json()["items"])


async def desk_of(house: House, role: Role = Role.ADMIN, facility: Facility | None = None) -> Desk:
    account = await house.account(role, facility)
    issued = await account.enrol()
    found = await house.auth.facility_of(account.host)
    assert found
    return Desk(house, found, account, issued["access_token"])


@pytest.fixture
async def desk(house: House) -> Desk:
    return await desk_of(house)
