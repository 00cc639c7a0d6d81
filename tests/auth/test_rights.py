"""The right `identity`: given by a facility's own admins or by command, in tokens from the next refresh on."""

from typing import Any

import pytest
from codetect_shared import tokens
from codetect_shared.tokens import Principal, Role

from tests.auth.conftest import Account, House, Shell


async def principal_of(house: House, issued: dict[str, Any]) -> Principal:
    keys = tokens.parse_jwks(await house.auth.keys.jwks())
    return tokens.verify(issued["access_token"], keys, issuer=house.auth.settings.issuer)


async def refreshed(account: Account, issued: dict[str, Any]) -> dict[str, Any]:
    answer = await account.refresh(issued["refresh_token"])
    assert answer.status_code == 200, answer.text
    renewed: dict[str, Any] = answer.json()
    return renewed


async def change(by: Account, issued: dict[str, Any], person: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {issued['access_token']}"}
    return await by.client.patch(f"/api/v1/members/{person}", json=body, headers=headers)


async def test_an_admin_gives_and_takes_the_right_and_a_refresh_brings_it(house: House) -> None:
    facility = await house.facility()
    admin, member = await house.account(Role.ADMIN, facility), await house.account(Role.MEMBER, facility)
    issued, mine = await admin.enrol(), await member.enrol()
    id = (await principal_of(house, mine)).subject
    assert not (await principal_of(house, mine)).sees_identities

    given = await change(admin, issued, id, {"rights": ["identity"]})
    assert (given.status_code, given.json()["id"], given.json()["rights"]) == (200, id, ["identity"])
    assert (await member.get("/api/v1/auth/me", mine["access_token"])).status_code == 401  # what it says is over
    mine = await refreshed(member, mine)
    assert (await principal_of(house, mine)).sees_identities
    me = (await member.get("/api/v1/auth/me", mine["access_token"])).json()
    assert (me["scopes"], me["rights"]) == (["identity"], ["identity"])
    listed = (await admin.get("/api/v1/members", issued["access_token"])).json()["items"]
    assert [item["rights"] for item in listed] == [[], ["identity"]]

    assert (await change(admin, issued, id, {"rights": []})).json()["rights"] == []
    assert not (await principal_of(house, await refreshed(member, mine))).sees_identities


async def test_the_right_is_there_at_the_next_login_and_changes_nothing_else(house: House) -> None:
    facility = await house.facility()
    admin, viewer = await house.account(Role.ADMIN, facility), await house.account(Role.VIEWER, facility)
    issued = await admin.enrol()
    person = await principal_of(house, await viewer.enrol())
    await change(admin, issued, person.subject, {"rights": ["identity", "identity"]})
    step = (await viewer.step_one()).json()["mfa_token"]
    again = (await viewer.step_two(step, viewer.code())).json()
    principal = await principal_of(house, again)
    assert (principal.role, principal.scopes) == (Role.VIEWER, {"identity"})
    assert (await viewer.get("/api/v1/auth/me", again["access_token"])).status_code == 200
    assert (await viewer.get("/api/v1/members", again["access_token"])).status_code == 403


async def test_a_change_is_told_once_and_with_ids_alone(house: House) -> None:
    account = await house.account(Role.ADMIN)
    issued = await account.enrol()
    person = await principal_of(house, issued)
    for _ in range(2):
        assert (await change(account, issued, person.subject, {"rights": ["identity"]})).status_code == 200
        issued = await refreshed(account, issued)
    told = await house.sql(
        "SELECT data FROM outbox WHERE type = 'codetect.person.changed.v1' AND facility_id = :id",
        id=person.facility_id,
    )
    assert [row.data for row in told] == [{"person_id": person.subject, "changed_by": person.subject}]


async def test_nobody_but_the_facilitys_own_admin_gives_rights(house: House) -> None:
    facility = await house.facility()
    member = await house.account(Role.MEMBER, facility)
    mine = await member.enrol()
    id = (await principal_of(house, mine)).subject
    assert (await change(member, mine, id, {"rights": ["identity"]})).status_code == 403
    stranger, operator = await house.account(Role.ADMIN), await house.account(Role.OPERATOR)
    assert (await change(stranger, await stranger.enrol(), id, {"rights": ["identity"]})).status_code == 404
    assert (await change(operator, await operator.enrol(), id, {"rights": ["identity"]})).status_code == 403
    assert not (await principal_of(house, await refreshed(member, mine))).sees_identities


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rights": ["read"]},
        {"rights": ["operator"]},
        {"rights": "identity"},
        {"rights": None},
        {"rights": [], "role": "operator"},
        {"role": None},
        {"status": "removed"},
        {"status": "gone"},
        {"status": None},
        {"rights": [], "name": "x"},
    ],
)
async def test_what_is_no_right_is_refused_in_words(house: House, body: dict[str, Any]) -> None:
    account = await house.account(Role.ADMIN)
    issued = await account.enrol()
    answer = await change(account, issued, (await principal_of(house, issued)).subject, body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_an_api_client_has_the_scope_only_when_it_is_asked_for(house: House) -> None:
    account = await house.account(Role.ADMIN)
    headers = {"Authorization": f"Bearer {(await account.enrol())['access_token']}"}
    for asked, granted in ({}, "read write"), ({"scopes": ["identity", "read"]}, "identity read"):
        made = await account.client.post("/api/v1/api-clients", json={"name": "PACS", **asked}, headers=headers)
        form = {key: made.json()[key] for key in ("client_id", "client_secret")}
        answer = await account.client.post("/oauth/token", data={"grant_type": "client_credentials", **form})
        assert answer.json()["scope"] == granted
        principal = await principal_of(house, answer.json())
        assert principal.sees_identities == ("identity" in granted)
        form["scope"] = "identity"
        narrowed = await account.client.post("/oauth/token", data={"grant_type": "client_credentials", **form})
        assert narrowed.status_code == (200 if "identity" in granted else 400)
    # Seeing identities is no reading: that takes its own scope.
    assert (await account.get("/api/v1/auth/me", narrowed.json()["access_token"])).status_code == 403


async def test_commands_give_and_take_the_right(house: House, shell: Shell) -> None:
    slug, email = (await house.facility()).slug, "Mira@Clinic.example"
    person = ("create-person", "--facility", slug, "--email", email, "--name", "Mira", "--role", "member")
    password = "correct horse battery"
    assert (await shell(*person, "--right", "identity", "--password-stdin", password=password))[0] == 0
    account = Account(house.client(f"{slug}.localhost"), email, password)
    issued = await account.enrol()
    assert (await principal_of(house, issued)).sees_identities
    grant = ("grant", "--facility", slug, "--email", email.upper())
    code, found, _ = await shell(*grant, "--revoke", "identity")
    assert (code, found["rights"]) == (0, [])
    issued = await refreshed(account, issued)
    assert not (await principal_of(house, issued)).sees_identities
    for _ in range(2):
        assert (await shell(*grant, "--right", "identity"))[1]["rights"] == ["identity"]
    assert (await principal_of(house, await refreshed(account, issued))).sees_identities

    client = ("create-api-client", "--facility", slug, "--name", "PACS")
    assert (await shell(*client))[1]["scopes"] == ["read", "write"]
    asked = [part for scope in ("read", "write", "identity") for part in ("--scope", scope)]
    assert (await shell(*client, *asked))[1]["scopes"] == ["identity", "read", "write"]


async def test_commands_refuse_what_cannot_be(house: House, shell: Shell) -> None:
    operator, facility = await house.account(Role.OPERATOR), await house.facility()
    nobody = ("--facility", facility.slug, "--email", "nobody@clinic.example")
    code, _, err = await shell("grant", *nobody, "--right", "identity")
    assert (code, err) == (1, "The facility has no such person.\n")
    code, _, err = await shell("grant", "--facility", "admin", "--email", operator.email, "--right", "identity")
    assert code == 1
    assert "Operators" in err
    assert (await shell("grant", *nobody, "--right", "write"))[0] == 2
