"""Several factors a person: seen, added, named, removed but for the last; and proving again that it is them."""

import asyncio
import time
from collections import Counter
from typing import Any

import httpx
import pyotp
import pytest
from codetect_shared import tokens
from codetect_shared.tokens import Principal, Role

from tests.auth.conftest import Account, House
from tests.auth.test_passkeys import AUTH, device_of, enrolled, options, post

FACTORS = f"{AUTH}/factors"


async def logged_in(house: House, role: Role = Role.MEMBER) -> tuple[Account, str]:
    account = await house.account(role)
    return account, (await account.enrol())["access_token"]


async def listed(account: Account, token: str) -> dict[str, Any]:
    answer = await account.get(FACTORS, token)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def add_totp(account: Account, token: str, name: str | None = None) -> tuple[str, httpx.Response]:
    started = (await post(account, "/factors/totp", {}, token)).json()
    code = pyotp.TOTP(started["secret"]).at(int(time.time()) - 30)
    body = {"factor_token": started["factor_token"], "code": code} | ({"name": name} if name else {})
    return started["secret"], await post(account, "/factors/totp/confirm", body, token)


async def principal_of(house: House, token: str) -> Principal:
    keys = tokens.parse_jwks(await house.auth.keys.jwks())
    return tokens.verify(token, keys, issuer=house.auth.settings.issuer)


async def test_factors_are_listed_with_kind_name_and_when_they_were_used(house: House) -> None:
    account, token = await logged_in(house)
    found = await listed(account, token)
    [factor] = found["items"]
    assert (factor["kind"], factor["name"], factor["used_at"]) == ("totp", "Authenticator app", None)
    assert found["recovery_codes_left"] == 10
    step = (await account.step_one()).json()["mfa_token"]
    assert (await account.step_two(step, account.code())).status_code == 200
    step = (await account.step_one()).json()["mfa_token"]
    assert (await account.step_two(step, account.recovery_codes[0], "recovery_code")).status_code == 200
    found = await listed(account, token)
    assert found["items"][0]["used_at"] is not None
    assert found["recovery_codes_left"] == 9
    assert "secret" not in str(found)


async def test_a_further_authenticator_app_and_a_passkey_each_let_the_person_in(house: House) -> None:
    account, token = await logged_in(house)
    secret, added = await add_totp(account, token, "Tablet")
    assert (added.status_code, added.json()["name"]) == (201, "Tablet")
    device = device_of(account)
    asked = await options(account, "/passkeys/options", {}, token)
    made = await post(account, "/passkeys", {"credential": device.create(asked), "name": "Key"}, token)
    assert (made.status_code, made.json()["kind"]) == (201, "passkey")
    assert [(each["kind"], each["name"]) for each in (await listed(account, token))["items"]] == [
        ("totp", "Authenticator app"),
        ("totp", "Tablet"),
        ("passkey", "Key"),
    ]
    step = (await account.step_one()).json()
    assert step["methods"] == ["totp", "passkey", "recovery_code"]
    assert (await account.step_two(step["mfa_token"], pyotp.TOTP(secret).now())).status_code == 200
    step = {"mfa_token": (await account.step_one()).json()["mfa_token"]}
    asked = await options(account, "/passkeys/login/options", step)
    assert (await post(account, "/passkeys/login", step | {"credential": device.get(asked)})).status_code == 200


async def test_a_further_app_takes_a_right_code_once_and_five_tries(house: House) -> None:
    account, token = await logged_in(house)
    started = (await post(account, "/factors/totp", {}, token)).json()
    body = {"factor_token": started["factor_token"], "code": "000000"}
    for _ in range(5):
        refused = await post(account, "/factors/totp/confirm", body, token)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:codetect:problem:proof-refused")
    await house.pass_time(3600)
    body["code"] = pyotp.TOTP(started["secret"]).now()
    assert (await post(account, "/factors/totp/confirm", body, token)).json()["type"].endswith("step-expired")
    assert len((await listed(account, token))["items"]) == 1


async def test_a_colleague_cannot_confirm_my_further_app(house: House) -> None:
    account, token = await logged_in(house)
    facility = await house.auth.facility_of(account.host)
    colleague = await house.account(facility=facility)
    theirs = (await colleague.enrol())["access_token"]
    started = (await post(account, "/factors/totp", {}, token)).json()
    body = {"factor_token": started["factor_token"], "code": pyotp.TOTP(started["secret"]).now()}
    assert (await post(colleague, "/factors/totp/confirm", body, theirs)).status_code == 401
    assert len((await listed(colleague, theirs))["items"]) == 1


async def test_a_factor_is_renamed_and_removed_but_never_the_last(house: House) -> None:
    account, token = await logged_in(house)
    _, added = await add_totp(account, token)
    path = f"{FACTORS}/{added.json()['id']}"
    renamed = await account.send("PATCH", path, token, {"name": "Old phone"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Old phone")
    assert (await account.send("DELETE", path, token)).status_code == 204
    assert (await account.send("DELETE", path, token)).status_code == 404
    [last] = (await listed(account, token))["items"]
    refused = await account.send("DELETE", f"{FACTORS}/{last['id']}", token)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:codetect:problem:last-factor")
    kinds = await house.sql(
        "SELECT data ->> 'kind' FROM outbox WHERE type LIKE 'codetect.person.factor_%' AND data ->> 'person_id' = :id"
        " ORDER BY id",
        id=await house.id_of(account),
    )
    assert [kind for (kind,) in kinds] == ["totp", "totp", "totp"]


async def test_of_two_factors_removed_at_once_one_stays(house: House) -> None:
    account, token = await logged_in(house)
    await add_totp(account, token)
    paths = [f"{FACTORS}/{each['id']}" for each in (await listed(account, token))["items"]]
    answers = await asyncio.gather(*(account.send("DELETE", path, token) for path in paths))
    assert sorted(answer.status_code for answer in answers) == [204, 409]
    assert len((await listed(account, token))["items"]) == 1


async def test_nobody_touches_anothers_factors(house: House) -> None:
    account, token = await logged_in(house)
    await add_totp(account, token)
    facility = await house.auth.facility_of(account.host)
    for other in (await house.account(Role.ADMIN, facility), await house.account(Role.ADMIN)):
        theirs = (await other.enrol())["access_token"]
        path = f"{FACTORS}/{(await listed(account, token))['items'][0]['id']}"
        assert (await other.send("DELETE", path, theirs)).status_code == 404
        assert (await other.send("PATCH", path, theirs, {"name": "mine"})).status_code == 404
    assert len((await listed(account, token))["items"]) == 2


async def test_nobody_collects_factors_without_end(house: House) -> None:
    account, token = await logged_in(house)
    await house.sql(
        "INSERT INTO passkeys (id, facility_id, person_id, name, credential_id, public_key, sign_count, transports)"
        " SELECT gen_random_uuid(), facility_id, id, 'x', decode(md5(n::text || id), 'hex'), '', 0, '[]'"
        " FROM people, generate_series(1, 19) n WHERE email = :email",
        email=account.email,
    )
    answer = await post(account, "/factors/totp", {}, token)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:too-many-factors")
    assert (await post(account, "/passkeys/options", {}, token)).status_code == 409


async def test_new_recovery_codes_end_the_old_ones(house: House) -> None:
    account, token = await logged_in(house)
    answer = await post(account, "/recovery-codes", {}, token)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    fresh = answer.json()["recovery_codes"]
    assert len(set(fresh) - set(account.recovery_codes)) == 10
    steps = [(await account.step_one()).json()["mfa_token"] for _ in range(2)]
    assert (await account.step_two(steps[0], account.recovery_codes[0], "recovery_code")).status_code == 401
    assert (await account.step_two(steps[1], fresh[0], "recovery_code")).status_code == 200


DANGEROUS = [
    ("POST", f"{AUTH}/factors/totp", {}),
    ("POST", f"{AUTH}/factors/totp/confirm", {"factor_token": "x", "code": "000000"}),
    ("PATCH", f"{AUTH}/factors/0192a000-0000-7000-8000-000000000000", {"name": "x"}),
    ("DELETE", f"{AUTH}/factors/0192a000-0000-7000-8000-000000000000", None),
    ("POST", f"{AUTH}/passkeys/options", {}),
    ("POST", f"{AUTH}/recovery-codes", {}),
    ("PATCH", "/api/v1/members/0192a000-0000-7000-8000-000000000000", {"rights": []}),
    ("DELETE", "/api/v1/members/0192a000-0000-7000-8000-000000000000", None),
    ("POST", "/api/v1/members/0192a000-0000-7000-8000-000000000000/reset-factors", {}),
    ("POST", "/api/v1/api-clients", {"name": "x"}),
    ("POST", "/api/v1/api-clients/0192a000-0000-7000-8000-000000000000/rotate", {}),
    (
        "PATCH",
        "/api/v1/api-clients/0192a000-0000-7000-8000-000000000000",
        {"owner_id": "0192a000-0000-7000-8000-000000000000"},
    ),
    ("DELETE", "/api/v1/api-clients/0192a000-0000-7000-8000-000000000000", None),
    ("POST", "/api/v1/invitations", {"email": "nora@clinic.example", "name": "Nora New", "role": "admin"}),
    ("POST", "/api/v1/access-requests/0192a000-0000-7000-8000-000000000000/approve", {}),
    ("POST", "/api/v1/webhooks", {"url": "https://ris.example/hook", "types": ["codetect.study.received.v1"]}),
    ("PATCH", "/api/v1/webhooks/0192a000-0000-7000-8000-000000000000", {"url": "https://ris.example/hook"}),
    ("POST", "/api/v1/webhooks/0192a000-0000-7000-8000-000000000000/secret", None),
]


async def test_what_is_dangerous_is_refused_eleven_minutes_after_the_login_until_a_code_is_given(house: House) -> None:
    account = await house.account(Role.ADMIN)
    old = await house.stale(account, (await account.enrol())["refresh_token"])
    for method, path, body in DANGEROUS:
        refused = await account.send(method, path, old["access_token"], body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:codetect:problem:step-up-required"), path
    proof = {"method": "totp", "code": account.code()}
    proven = await post(account, "/step-up", proof, old["access_token"])
    assert (proven.status_code, proven.headers["cache-control"]) == (200, "no-store")
    assert proven.json().keys() == {"access_token", "token_type", "expires_in"}
    for method, path, body in DANGEROUS:
        answer = await account.send(method, path, proven.json()["access_token"], body)
        assert answer.status_code in (200, 201, 204, 401, 404), (path, answer.text)
    # What refreshes bring stays fresh; the token from before doesn't become so.
    refreshed = (await account.refresh(old["refresh_token"])).json()["access_token"]
    assert (await post(account, "/recovery-codes", {}, refreshed)).status_code == 201
    assert (await post(account, "/recovery-codes", {}, old["access_token"])).status_code == 403


async def test_a_passkey_or_a_recovery_code_is_a_proof_too_and_each_is_of_use_once(house: House) -> None:
    account, device, first = await enrolled(house)
    old = await house.stale(account, first["refresh_token"])
    asked = await options(account, "/step-up/options", {}, old["access_token"])
    assert [each["id"] for each in asked["allowCredentials"]]
    proof = {"method": "passkey", "credential": device.get(asked)}
    proven = await post(account, "/step-up", proof, old["access_token"])
    assert proven.status_code == 200, proven.text
    assert (await principal_of(house, proven.json()["access_token"])).is_fresh
    again = await post(account, "/step-up", proof, old["access_token"])
    assert (again.status_code, again.json()["type"]) == (403, "urn:codetect:problem:proof-refused")
    code = {"method": "recovery_code", "code": account.recovery_codes[1]}
    assert (await post(account, "/step-up", code, old["access_token"])).status_code == 200
    assert (await post(account, "/step-up", code, old["access_token"])).status_code == 403


async def test_a_proof_of_another_login_or_person_is_none(house: House) -> None:
    account, device, first = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", {})
    second = (await post(account, "/passkeys/login", {"credential": device.get(asked)})).json()
    asked = await options(account, "/step-up/options", {}, first["access_token"])
    proof = {"method": "passkey", "credential": device.get(asked)}
    assert (await post(account, "/step-up", proof, second["access_token"])).status_code == 403
    colleague, theirs = await logged_in(house)
    body = {"method": "recovery_code", "code": account.recovery_codes[0]}
    assert (await post(colleague, "/step-up", body, theirs)).status_code == 403
    assert (await post(account, "/step-up", body, theirs)).status_code == 403  # the token says who it is


async def test_guessing_at_step_up_gets_slow(house: House) -> None:
    account, token = await logged_in(house)
    guess = {"method": "totp", "code": "000000"}
    statuses = [(await post(account, "/step-up", guess, token)).status_code for _ in range(8)]
    assert statuses == [403] * 5 + [429] * 3
    await house.pass_time(3600)
    right = {"method": "totp", "code": account.code()}
    assert (await post(account, "/step-up", right, token)).status_code == 200


async def test_fifty_parallel_proofs_with_one_code_are_one_success(house: House) -> None:
    account, token = await logged_in(house)
    right = {"method": "totp", "code": account.code()}
    answers = await asyncio.gather(*(post(account, "/step-up", right, token) for _ in range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 403, 429}


@pytest.mark.parametrize(
    "body", [{}, {"method": "totp"}, {"method": "passkey", "code": "1"}, {"method": "sms", "code": "1"}]
)
async def test_what_is_no_proof_is_refused_in_words(house: House, body: dict[str, str]) -> None:
    account, token = await logged_in(house)
    answer = await post(account, "/step-up", body, token)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_an_ended_login_proves_nothing(house: House) -> None:
    account, token = await logged_in(house)
    await house.sql("UPDATE sessions SET ended_at = now()")  # without a refusal: the login itself is looked at
    body = {"method": "totp", "code": account.code()}
    assert (await post(account, "/step-up", body, token)).status_code == 401
