"""A filled database of revision 0001, as its own code left it, comes to the newest revision: people still come in.

What was recorded: `tests/data/recordings.md`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from codetect_auth import app
from codetect_auth.settings import Settings

from tests.auth.conftest import Account, House, running
from tests.histories import MASTER_KEY, History, Recorded, differences, history, just_now, recorded
from tests.infrastructure import Infrastructure, empty_broker

PEOPLE = ["member", "admin", "stranger", "operator"]


@dataclass
class Upgraded:
    """The service after the upgrade, and what was there before."""

    house: House
    history: History
    then: Recorded
    kept: dict[str, int]  # rows, before anything ran on them

    def account(self, name: str, host: str = "") -> Account:
        """Somebody of then, at their facility's host."""
        known = self.then.said[name]
        client = self.house.client(host or known["host"])
        return Account(client, known["email"], known["password"], known.get("totp_secret", ""))

    async def log_in(self, name: str) -> dict[str, Any]:
        """With a password and a recovery code, each of which is good once."""
        account = self.account(name)
        first = await account.step_one()
        assert first.status_code == 200, first.text
        code = self.then.said[name]["recovery_codes"].pop()
        second = await account.step_two(first.json()["mfa_token"], code, "recovery_code")
        assert second.status_code == 200, second.text
        return dict(second.json())


@pytest.fixture(scope="module")
async def upgraded(infra: Infrastructure, environment: dict[str, str]) -> AsyncIterator[Upgraded]:
    then = recorded("auth-0001")
    async with history(infra, "auth", "0001") as database:
        await database.fill(just_now(then.rows))
        await database.upgrade()
        kept = await database.counted(then.rows)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(app, "SWEEP_S", 86_400)
            async with running(Settings(**database.settings, master_key=MASTER_KEY)) as house:
                yield Upgraded(house, database, then, kept)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])


def unsaid(then: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """What was said of somebody and is no longer; ways to log in may have come besides."""
    methods = ".facility.login_methods"
    return {
        place: (before, after)
        for place, (before, after) in differences(then, now).items()
        if place != methods or not set(before) <= set(after)
    }


async def test_no_row_is_lost(upgraded: Upgraded) -> None:
    assert upgraded.kept == {table: len(rows) for table, rows in upgraded.then.rows.items()}


@pytest.mark.parametrize("name", PEOPLE)
async def test_a_login_goes_on_and_shows_what_it_showed(upgraded: Upgraded, name: str) -> None:
    account, known = upgraded.account(name), upgraded.then.said[name]
    answer = await account.refresh(known["refresh_token"])
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert unsaid(known["me"], (await account.get("/api/v1/auth/me", token)).json()) == {}
    sessions = (await account.get("/api/v1/auth/sessions", token)).json()["items"]
    assert [one["id"] for one in sessions] == [one["id"] for one in known["sessions"]["items"]]
    listed = await account.get("/api/v1/api-clients", token)
    if name == "admin":
        (client,) = listed.json()["items"]
        assert client["client_id"] == known["api_client"]["client_id"]
    elif name != "operator":
        assert listed.status_code == 403


@pytest.mark.parametrize("name", PEOPLE)
async def test_password_and_recovery_code_of_then_let_in(upgraded: Upgraded, name: str) -> None:
    token = (await upgraded.log_in(name))["access_token"]
    me = await upgraded.account(name).get("/api/v1/auth/me", token)
    assert unsaid(upgraded.then.said[name]["me"], me.json()) == {}


async def test_the_authenticator_of_then_lets_in(upgraded: Upgraded) -> None:
    account = upgraded.account("member")
    first = (await account.step_one()).json()
    assert (await account.step_two(first["mfa_token"], account.code())).status_code == 200


async def test_who_had_not_come_in_yet_enrols(upgraded: Upgraded) -> None:
    assert "access_token" in await upgraded.account("fresh").enrol()


async def test_nobody_comes_in_elsewhere(upgraded: Upgraded) -> None:
    host = upgraded.then.said["stranger"]["host"]
    assert (await upgraded.account("member", host).step_one()).status_code == 401


async def test_an_api_client_has_the_secret_it_had(upgraded: Upgraded) -> None:
    known = upgraded.then.said["admin"]["api_client"]
    form = {"grant_type": "client_credentials", **{name: known[name] for name in ("client_id", "client_secret")}}
    answer = await upgraded.account("admin").client.post("/oauth/token", data=form)
    assert answer.status_code == 200, answer.text


async def test_the_key_that_signed_goes_on_signing(upgraded: Upgraded) -> None:
    keys = (await upgraded.account("admin").client.get("/.well-known/jwks.json")).json()["keys"]
    assert {row["kid"] for row in upgraded.then.rows["signing_keys"]} <= {key["kid"] for key in keys}


async def test_each_facility_sees_its_own_rows_of_every_table_and_nobody_without_one_any(upgraded: Upgraded) -> None:
    tables = [name for name in await upgraded.history.of_facilities() if name != "facilities"]  # looked up by host
    assert {"api_clients", "audit", "people", "refresh_tokens", "sessions", "totp_factors"} <= set(tables)
    for table in tables:
        assert await upgraded.history.seen(table, "") == 0, table
        for facility in upgraded.then.rows["facilities"]:
            (row,) = await upgraded.history.sql(f"SELECT count(*) FROM {table} WHERE facility_id = $1", facility["id"])
            assert await upgraded.history.seen(table, facility["id"]) == row["count"], table
