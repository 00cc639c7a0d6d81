"""API clients: made by admins, with a secret that is shown once, for their own facility alone."""

import base64
from typing import Any

import httpx
import pytest
from codetect_shared import tokens
from codetect_shared.tokens import Role

from tests.auth.conftest import Account, House


async def admin(house: House) -> tuple[Account, dict[str, str]]:
    account = await house.account(Role.ADMIN)
    return account, {"Authorization": f"Bearer {(await account.enrol())['access_token']}"}


async def make_client(account: Account, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = await account.client.post("/api/v1/api-clients", json={"name": "PACS"} | body, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    client: dict[str, Any] = answer.json()
    return client


async def ask(account: Account, client: dict[str, Any], **form: str) -> httpx.Response:
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")} | form
    return await account.client.post("/oauth/token", data=form)


async def test_a_client_gets_a_token_that_says_whose_it_is(house: House) -> None:
    account, headers = await admin(house)
    client = await make_client(account, headers, scopes=["read"])
    answer = await ask(account, client)
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json().pop("access_token")
    assert answer.json() | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "read",
    }
    principal = tokens.verify(token, tokens.parse_jwks(await house.auth.keys.jwks()), issuer=house.auth.settings.issuer)
    assert (principal.subject, principal.role, principal.scopes) == (client["client_id"], Role.API_CLIENT, {"read"})
    me = (await account.get("/api/v1/auth/me", token)).json()
    assert (me["name"], me["role"], me["email"]) == ("PACS", "api_client", None)


async def test_a_client_may_say_who_it_is_as_http_basic(house: House) -> None:
    account, headers = await admin(house)
    client = await make_client(account, headers)
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    answer = await account.client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"}
    )
    assert answer.json()["scope"] == "read write"


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "00000000-0000-7000-8000-000000000000"}, 401, "invalid_client"),
        ({"client_id": "no uuid"}, 401, "invalid_client"),
        ({"client_id": "\0"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"scope": "read operator"}, 400, "invalid_scope"),
    ],
)
async def test_a_refusal_is_said_as_oauth_and_as_a_problem(
    house: House, form: dict[str, str], status: int, error: str
) -> None:
    account, headers = await admin(house)
    answer = await ask(account, await make_client(account, headers, scopes=["read"]), **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["content-type"] == "application/problem+json"
    assert status != 401 or answer.headers["www-authenticate"].startswith("Basic")


async def test_another_facilitys_host_knows_no_such_client(house: House) -> None:
    account, headers = await admin(house)
    client = await make_client(account, headers)
    other = await house.account()
    assert (await ask(other, client)).status_code == 401
    assert (await ask(account, client)).status_code == 200


async def test_a_revoked_or_expired_client_gets_no_token(house: House) -> None:
    account, headers = await admin(house)
    revoked, expired = [await make_client(account, headers) for _ in range(2)]
    path = f"/api/v1/api-clients/{revoked['client_id']}"
    assert (await account.client.delete(path, headers=headers)).status_code == 204
    assert (await account.client.delete(path, headers=headers)).status_code == 404
    await house.sql("UPDATE api_clients SET expires_at = now() WHERE id = :id", id=expired["client_id"])
    assert [(await ask(account, client)).status_code for client in (revoked, expired)] == [401, 401]
    listed = (await account.client.get("/api/v1/api-clients", headers=headers)).json()["items"]
    assert [item["client_id"] for item in listed] == [expired["client_id"]]
    assert "client_secret" not in listed[0]


async def test_a_suspended_client_rests_until_it_is_taken_up_again(house: House) -> None:
    account, headers = await admin(house)
    client = await make_client(account, headers)
    path = f"/api/v1/api-clients/{client['client_id']}"
    token = (await ask(account, client)).json()["access_token"]

    async def suspend(whether: bool) -> Any:
        answer = await account.client.patch(path, json={"suspended": whether}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["suspended_at"]

    assert await suspend(True) is not None
    assert (await ask(account, client)).status_code == 401
    assert (await account.get("/api/v1/auth/me", token)).status_code == 401, "the token it has is refused, too"
    assert await suspend(False) is None
    assert (await ask(account, client)).status_code == 200
    for empty in ({}, {"suspended": None}, {"owner_id": None}):
        assert (await account.client.patch(path, json=empty, headers=headers)).status_code == 422
    told = [mail["what"] for mail in await house.mails(account.email, "api_client_changed")]
    assert told == ["created", "suspended", "active again"]


@pytest.mark.parametrize(
    "body",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "9999-12-31T23:59:59-14:00"},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"scopes": []},
        {"scopes": ["operator"]},
        {"name": ""},
        {"name": "a\0b"},
    ],
)
async def test_a_client_that_cannot_be_is_refused_in_words(house: House, body: dict[str, Any]) -> None:
    account, headers = await admin(house)
    answer = await account.client.post("/api/v1/api-clients", json={"name": "PACS"} | body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_only_admins_make_clients_and_clients_make_none(house: House) -> None:
    account, headers = await admin(house)
    token = (await ask(account, await make_client(account, headers))).json()["access_token"]
    member = await house.account(Role.MEMBER)
    for bearer in (token, (await member.enrol())["access_token"]):
        answer = await account.client.post(
            "/api/v1/api-clients", json={"name": "x"}, headers={"Authorization": f"Bearer {bearer}"}
        )
        assert answer.status_code == 403
    assert (await account.client.post("/api/v1/api-clients", json={"name": "x"})).status_code == 401
