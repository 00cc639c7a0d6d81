"""Guessing gets slower and slower, and the owner of an account gets back in."""

import asyncio
from collections import Counter

from codetect_auth import throttle

from tests.auth.conftest import Account, House


async def guess(account: Account, address: str) -> int:
    wrong = Account(account.client, account.email, "guess" * 4)
    return (await wrong.step_one(**{"X-Forwarded-For": address})).status_code


async def test_of_a_thousand_guesses_a_hundred_at_a_time_few_are_looked_at(house: House) -> None:
    account, statuses = await house.account(), Counter[int]()
    for batch in range(10):
        guesses = [guess(account, f"192.0.{batch}.{n}") for n in range(100)]
        statuses.update(await asyncio.gather(*guesses))
        if batch == 0:
            assert statuses == {401: 5, 429: 95}
    # A slow machine takes so long that the first waits run out.
    assert statuses.keys() == {401, 429}
    assert 5 <= statuses[401] <= 10


async def test_whoever_waits_as_told_gets_ten_guesses_in_fifteen_minutes_at_most(house: House) -> None:
    account = await house.account()
    guesses, waited_s = 0, 0
    while waited_s < 900:
        answer = await Account(account.client, account.email, "guess" * 4).step_one()
        if answer.status_code == 401:
            guesses += 1
        else:
            wait_s = int(answer.headers["retry-after"])
            assert answer.json()["retry_after_s"] == wait_s
            waited_s += wait_s
            await house.pass_time(wait_s)
    assert 5 < guesses <= 10


async def test_after_ten_wrong_logins_the_owner_waits_and_gets_in_and_all_is_forgotten(house: House) -> None:
    account = await house.account()
    statuses = [await guess(account, "198.51.100.7") for _ in range(10)]
    assert statuses == [401] * 5 + [429] * 5
    blocked = await account.step_one()
    assert blocked.status_code == 429
    await house.pass_time(int(blocked.headers["retry-after"]))
    await account.enrol()
    assert (await account.step_one()).status_code == 200
    assert [await guess(account, "198.51.100.7") for _ in range(5)] == [401] * 5


async def test_the_owner_gets_in_from_a_known_address_while_strangers_guess(house: House) -> None:
    account = await house.account()
    await account.enrol()
    assert {await guess(account, "203.0.113.9") for _ in range(20)} == {401, 429}
    assert (await account.step_one()).status_code == 200
    assert (await account.step_one(**{"X-Forwarded-For": "203.0.113.10"})).status_code == 429


async def test_one_address_cannot_go_through_everybodys_account(house: House) -> None:
    facility = await house.facility()
    client = house.client(f"{facility.slug}.localhost", "203.0.113.77")
    people = [Account(client, f"person-{n}@clinic.example", "Spring2026Spring") for n in range(100)]
    statuses = Counter([(await person.step_one()).status_code for person in people])
    assert statuses == {401: 50, 429: 50}
    elsewhere = await house.account(facility=facility)
    assert (await elsewhere.step_one()).status_code == 200


async def test_a_right_password_is_not_counted_against_anybody(house: House) -> None:
    account = await house.account()
    assert {(await account.step_one()).status_code for _ in range(60)} == {200}


def test_an_ipv6_customer_is_one_address() -> None:
    assert throttle.address_key("2001:db8:1:2::1") == throttle.address_key("2001:db8:1:2:ffff::9")
    assert throttle.address_key("2001:db8:1:3::1") != throttle.address_key("2001:db8:1:2::1")
    assert throttle.address_key("192.0.2.1") != throttle.address_key("192.0.2.2")
    assert throttle.address_key("unknown") == "address:unknown"
