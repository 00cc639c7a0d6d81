"""Refresh tokens rotate, work once, and betray whoever stole one; logins can be seen and ended."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from codetect_auth import devices
from codetect_auth.app import sweep
from codetect_shared.tokens import Role

from tests.auth.conftest import Account, House


async def logged_in(house: House, role: Role = Role.MEMBER) -> tuple[Account, dict[str, Any]]:
    account = await house.account(role)
    return account, await account.enrol()


async def age(house: House, account: Account, seconds: float) -> None:
    """Make every use of the account's refresh tokens lie further back."""
    await house.sql(
        f"UPDATE refresh_tokens SET used_at = used_at - interval '{seconds} seconds' WHERE session_id IN"
        " (SELECT s.id FROM sessions s JOIN people p ON p.id = s.person_id WHERE p.email = :email)",
        email=account.email,
    )


async def test_a_refresh_gives_a_new_pair(house: House) -> None:
    account, tokens = await logged_in(house)
    answer = await account.refresh(tokens["refresh_token"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["refresh_token"] != tokens["refresh_token"]
    assert (await account.get("/api/v1/auth/me", answer.json()["access_token"])).status_code == 200
    assert (await account.refresh(answer.json()["refresh_token"])).status_code == 200


async def test_fifty_parallel_refreshes_are_one_success_and_the_login_goes_on(house: House) -> None:
    account, tokens = await logged_in(house)
    answers = await asyncio.gather(*(account.refresh(tokens["refresh_token"]) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 409} == {"1"}
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await account.refresh(won["refresh_token"])).status_code == 200


async def test_a_lost_answer_is_given_again_for_a_few_seconds(house: House) -> None:
    account, tokens = await logged_in(house)
    lost = (await account.refresh(tokens["refresh_token"])).json()
    await age(house, account, 1.5)
    again = await account.refresh(tokens["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] == lost["refresh_token"]
    assert (await account.refresh(again.json()["refresh_token"])).status_code == 200


async def test_reuse_after_the_grace_ends_the_whole_family(house: House) -> None:
    account, tokens = await logged_in(house)
    younger = (await account.refresh(tokens["refresh_token"])).json()
    await age(house, account, 11)
    assert (await account.refresh(tokens["refresh_token"])).status_code == 401
    assert (await account.refresh(younger["refresh_token"])).status_code == 401
    [session] = await house.sql(
        "SELECT end_reason FROM sessions s JOIN people p ON p.id = s.person_id WHERE p.email = :email",
        email=account.email,
    )
    assert session.end_reason == "a refresh token was used twice"


async def test_reuse_within_the_grace_ends_the_family_once_the_successor_was_used(house: House) -> None:
    account, tokens = await logged_in(house)
    second = (await account.refresh(tokens["refresh_token"])).json()
    third = (await account.refresh(second["refresh_token"])).json()
    await age(house, account, 2)
    assert (await account.refresh(tokens["refresh_token"])).status_code == 401
    assert (await account.refresh(third["refresh_token"])).status_code == 401


async def test_a_thief_and_the_owner_cannot_both_go_on(house: House) -> None:
    account, tokens = await logged_in(house)
    stolen = tokens["refresh_token"]
    thief = (await account.refresh(stolen)).json()["refresh_token"]
    await age(house, account, 3)
    owner = (await account.refresh(stolen)).json()["refresh_token"]
    assert (await account.refresh(owner)).status_code == 200
    await age(house, account, 15)
    assert (await account.refresh(thief)).status_code == 401
    [session] = await house.sql(
        "SELECT ended_at FROM sessions s JOIN people p ON p.id = s.person_id WHERE p.email = :email",
        email=account.email,
    )
    assert session.ended_at


async def test_refresh_tokens_are_kept_as_hashes(house: House) -> None:
    _, tokens = await logged_in(house)
    rows = await house.sql("SELECT token_hash FROM refresh_tokens")
    assert all(tokens["refresh_token"].encode() not in row.token_hash for row in rows)


async def test_another_facilitys_host_knows_no_such_token(house: House) -> None:
    account, tokens = await logged_in(house)
    other = await house.account()
    assert (await other.refresh(tokens["refresh_token"])).status_code == 401
    assert (await account.refresh(tokens["refresh_token"])).status_code == 200


async def test_an_idle_and_an_old_login_have_ended(house: House) -> None:
    for table in ("refresh_tokens", "sessions"):
        account, tokens = await logged_in(house)
        [(facility_id,)] = await house.sql("SELECT facility_id FROM people WHERE email = :email", email=account.email)
        await house.sql(f"UPDATE {table} SET expires_at = now() WHERE facility_id = :id", id=facility_id)
        assert (await account.refresh(tokens["refresh_token"])).status_code == 401


async def test_a_suspended_person_gets_no_new_tokens(house: House) -> None:
    account, tokens = await logged_in(house)
    await house.sql("UPDATE people SET status = 'suspended' WHERE email = :email", email=account.email)
    assert (await account.refresh(tokens["refresh_token"])).status_code == 401


async def test_logging_out_ends_the_login_and_may_be_repeated(house: House) -> None:
    account, tokens = await logged_in(house)
    for _ in range(2):
        body = {"refresh_token": tokens["refresh_token"]}
        assert (await account.client.post("/api/v1/auth/logout", json=body)).status_code == 204
    assert (await account.refresh(tokens["refresh_token"])).status_code == 401


async def test_logins_are_listed_with_device_and_address_and_ended_one_by_one(house: House) -> None:
    account, first = await logged_in(house)
    account.client.headers["User-Agent"] = "Reading room 3"
    step = (await account.step_one()).json()["mfa_token"]
    second = (await account.step_two(step, account.code())).json()
    listed = (await account.get("/api/v1/auth/sessions", second["access_token"])).json()
    assert [item["current"] for item in listed["items"]] == [True, False]
    assert listed["items"][0]["device"] == "Reading room 3"
    assert listed["items"][0]["address"] == account.client.headers["x-forwarded-for"]

    headers = {"Authorization": f"Bearer {second['access_token']}"}
    old = f"/api/v1/auth/sessions/{listed['items'][1]['id']}"
    assert (await account.client.delete(old, headers=headers)).status_code == 204
    assert (await account.client.delete(old, headers=headers)).status_code == 404
    assert (await account.refresh(first["refresh_token"])).status_code == 401
    assert (await account.client.delete("/api/v1/auth/sessions", headers=headers)).status_code == 204
    assert (await account.refresh(second["refresh_token"])).status_code == 401


async def test_all_logins_but_this_one_are_ended(house: House) -> None:
    account, first = await logged_in(house)
    step = (await account.step_one()).json()["mfa_token"]
    second = (await account.step_two(step, account.code())).json()
    path = "/api/v1/auth/sessions"
    assert (await account.send("DELETE", f"{path}?others=true", second["access_token"])).status_code == 204
    assert (await account.get(path, first["access_token"])).status_code == 401
    assert (await account.refresh(first["refresh_token"])).status_code == 401
    listed = (await account.get(path, second["access_token"])).json()["items"]
    assert [item["current"] for item in listed] == [True]
    assert (await account.refresh(second["refresh_token"])).status_code == 200


async def test_a_login_that_idled_out_is_not_listed(house: House) -> None:
    account, tokens = await logged_in(house)
    await house.sql(
        "UPDATE sessions SET used_at = used_at - interval '13 hours' WHERE person_id = :id",
        id=await house.id_of(account),
    )
    assert (await account.get("/api/v1/auth/sessions", tokens["access_token"])).json()["items"] == []


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", "Firefox 144 on Windows"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
            " Safari/537.36 Edg/142.0.0.0",
            "Edge 142 on Windows",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Chrome 142 on Linux",
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile"
            " Safari/537.36",
            "Chrome 142 on Android",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0"
            " Safari/605.1.15",
            "Safari 26 on macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
            " Version/26.0 Mobile/15E148 Safari/604.1",
            "Safari 26 on iPhone",
        ),
        ("codetect/0.1.0", "codetect/0.1.0"),
        ("Reading room 3", "Reading room 3"),
        ("", "Unknown"),
    ],
)
def test_a_device_is_told_in_words(user_agent: str, words: str) -> None:
    assert devices.in_words(user_agent) == words


async def test_nobody_ends_anothers_login(house: House) -> None:
    account, tokens = await logged_in(house)
    colleague, theirs = await logged_in(house)
    listed = (await account.get("/api/v1/auth/sessions", tokens["access_token"])).json()["items"]
    headers = {"Authorization": f"Bearer {theirs['access_token']}"}
    answer = await colleague.client.delete(f"/api/v1/auth/sessions/{listed[0]['id']}", headers=headers)
    assert answer.status_code == 404
    assert (await account.refresh(tokens["refresh_token"])).status_code == 200


async def test_what_has_run_out_is_swept(house: House) -> None:
    await logged_in(house)
    await house.sql("UPDATE refresh_tokens SET expires_at = now() - interval '2 days'")
    await house.sql("UPDATE login_challenges SET expires_at = now() - interval '1 second'")
    await house.sql("UPDATE throttle SET touched_at = now() - interval '2 hours'")
    await sweep(house.auth)
    for table in ("refresh_tokens", "login_challenges", "throttle"):
        assert await house.sql(f"SELECT 1 FROM {table}") == []
