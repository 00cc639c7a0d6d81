"""Another password: what it must be, who may set it, and that the second factor stays."""

import asyncio
import hashlib
import statistics
import time
from collections import Counter
from pathlib import Path

import pytest
from codetect_auth.strength import is_in, weakness

from tests.auth.access.conftest import Desk
from tests.auth.conftest import Account

NEW = "nine patient otters"


@pytest.mark.parametrize(
    "password",
    [
        "elevenchars",
        "password1234",
        "iloveyou1234",
        "1q2w3e4r5t6y",
        "123456789123",
        "aaaaaaaaaaaaaaaaaaaa",
        "qwertyqwertyqwerty",
        "mira@hospital.example",
        "miramiramira",
        "St. Hospital 1",
        "thisismypassword",
        "x" * 257,
    ],
)
def test_what_is_guessed_first_is_refused(password: str) -> None:
    assert weakness(password, ["mira@hospital.example", "Mira", "St. Hospital", "st-hospital"])


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "seven quiet herons",
        "ein Pferd frisst keinen Gurkensalat",
        "Nj8#kq0wBx2!",
        "日本語の長い合言葉でもよいです",
        "four words and more of them " * 8,
    ],
)
def test_what_would_stand_is_taken_however_it_is_composed(password: str) -> None:
    assert weakness(password, ["mira@hospital.example", "Mira", "St. Hospital"]) is None


def test_a_file_of_stolen_passwords_is_looked_into(tmp_path: Path) -> None:
    stolen = [f"stolen password {n}" for n in range(500)]
    hashes = sorted(hashlib.sha1(each.encode()).hexdigest().upper() for each in stolen)
    path = tmp_path / "hashes.txt"
    path.write_text("".join(f"{each}:{len(each) * n + 1}\r\n" for n, each in enumerate(hashes)))
    assert all(is_in(path, each.lower()) for each in hashes)
    assert not any(is_in(path, hashlib.sha1(str(n).encode()).hexdigest()) for n in range(500))
    assert not is_in(path, "0" * 40)
    assert not is_in(path, "F" * 40)
    assert weakness("stolen password 77", [], path)
    assert weakness("stolen password 7777", [], path) is None


async def test_a_change_needs_the_old_password_and_ends_all_other_logins(desk: Desk) -> None:
    account = desk.account
    mfa = (await account.step_one()).json()["mfa_token"]
    other = (await account.step_two(mfa, account.code())).json()
    wrong = await desk.ask("POST", "/auth/password", json={"old": "wrong" * 4, "new": NEW})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:codetect:problem:old-password-wrong")
    weak = await desk.ask("POST", "/auth/password", json={"old": account.password, "new": "password1234"})
    assert weak.json()["type"] == "urn:codetect:problem:password-refused"
    done = await desk.ask("POST", "/auth/password", json={"old": account.password, "new": NEW})
    assert done.status_code == 204
    assert (await account.refresh(other["refresh_token"])).status_code == 401
    assert [item["current"] for item in (await desk.ask("GET", "/auth/sessions")).json()["items"]] == [True]
    assert (await account.step_one()).status_code == 401
    assert (await Account(desk.client, account.email, NEW).step_one()).json().keys() == {"mfa_token", "methods"}
    assert len(await desk.house.mails(account.email, "password_changed")) == 1


async def test_the_old_password_cannot_be_guessed_with_a_stolen_token(desk: Desk) -> None:
    body = {"old": "wrong" * 4, "new": NEW}
    answers = [await desk.ask("POST", "/auth/password", json=body) for _ in range(20)]
    assert Counter(answer.status_code for answer in answers) == {422: 5, 429: 15}


async def test_a_reset_sets_the_password_ends_everything_and_leaves_the_second_factor(desk: Desk) -> None:
    account = desk.account
    begun = (await account.step_one()).json()["mfa_token"]
    answer = await desk.knock("POST", "/auth/password-reset", json={"email": account.email.upper()})
    assert (answer.status_code, answer.content) == (202, b"null")
    [mail] = await desk.house.mails(account.email, "password_reset")
    assert "/access/reset#token=" in mail["url"]
    body = {"token": await desk.house.token(account.email, "password_reset"), "password": NEW}
    weak = await desk.knock("POST", "/auth/password-reset/confirm", json=body | {"password": "password1234"})
    assert weak.status_code == 422
    answers = await asyncio.gather(*(desk.knock("POST", "/auth/password-reset/confirm", json=body) for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 410: 19}
    assert not [answer for answer in answers if answer.status_code == 204 and answer.content]
    assert (await account.step_two(begun, account.code())).status_code == 401
    assert (await desk.ask("GET", "/auth/sessions")).status_code == 401
    renewed = Account(desk.client, account.email, NEW, account.totp_secret)
    step = (await renewed.step_one()).json()
    assert step.keys() == {"mfa_token", "methods"}
    assert (await renewed.step_two(step["mfa_token"], renewed.code())).status_code == 200


async def test_who_locked_themselves_out_gets_back_in_with_a_reset(desk: Desk) -> None:
    account = desk.account
    stranger = desk.house.client(account.host)
    while (await Account(stranger, account.email, "guess" * 4).step_one()).status_code != 429:
        pass
    await desk.knock("POST", "/auth/password-reset", json={"email": account.email})
    body = {"token": await desk.house.token(account.email, "password_reset"), "password": NEW}
    assert (await desk.knock("POST", "/auth/password-reset/confirm", json=body)).status_code == 204
    assert (await Account(stranger, account.email, NEW).step_one()).status_code == 200


async def test_a_reset_link_runs_out_and_nobody_who_is_suspended_gets_one(desk: Desk) -> None:
    email = desk.account.email
    await desk.knock("POST", "/auth/password-reset", json={"email": email})
    await desk.house.sql("UPDATE password_resets SET expires_at = now() WHERE facility_id = :f", f=desk.facility.id)
    body = {"token": await desk.house.token(email, "password_reset"), "password": NEW}
    assert (await desk.knock("POST", "/auth/password-reset/confirm", json=body)).status_code == 410
    await desk.knock("POST", "/auth/password-reset", json={"email": email})
    body["token"] = await desk.house.token(email, "password_reset")
    await desk.house.sql("UPDATE people SET status = 'suspended' WHERE email = :e", e=email)
    assert (await desk.knock("POST", "/auth/password-reset/confirm", json=body)).status_code == 410
    await desk.knock("POST", "/auth/password-reset", json={"email": email})
    assert len(await desk.house.mails(email, "password_reset")) == 2


async def test_known_and_unknown_addresses_get_one_answer_in_one_time(desk: Desk) -> None:
    async def seconds(email: str) -> float:
        await desk.house.sql("DELETE FROM throttle")
        started = time.perf_counter()
        answer = await desk.knock("POST", "/auth/password-reset", json={"email": email})
        assert (answer.status_code, answer.content) == (202, b"null")
        return time.perf_counter() - started

    pairs = [(await seconds(desk.account.email), await seconds("nobody@clinic.example")) for _ in range(8)]
    one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert abs(one - other) < 0.1 * max(one, other)
