"""Passkeys: registering, logging in with and without a password, and everything that isn't the owner's own device."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from codetect_shared.tokens import Role

from tests.auth.authenticator import Authenticator, b64, unb64
from tests.auth.conftest import Account, House

AUTH = "/api/v1/auth"


def device_of(account: Account, **how: Any) -> Authenticator:
    return Authenticator(f"https://{account.host}", **how)


async def post(account: Account, path: str, body: dict[str, Any], token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await account.client.post(AUTH + path, json=body, headers=headers)


async def options(account: Account, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    answer = await post(account, path, body, token)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["public_key"]
    return found


async def enrolled(house: House, role: Role = Role.MEMBER, **how: Any) -> tuple[Account, Authenticator, dict[str, Any]]:
    """Somebody whose only factor is a passkey."""
    account = await house.account(role)
    device = device_of(account, **how)
    enrolment = {"enrolment_token": (await account.step_one()).json()["enrolment_token"]}
    credential = device.create(await options(account, "/passkeys/enrol/options", enrolment))
    answer = await post(account, "/passkeys/enrol", enrolment | {"credential": credential, "name": "Phone"})
    assert answer.status_code == 200, answer.text
    account.recovery_codes = answer.json()["recovery_codes"]
    return account, device, answer.json()


async def second_step(account: Account) -> dict[str, str]:
    return {"mfa_token": (await account.step_one()).json()["mfa_token"]}


async def log_in(account: Account, device: Authenticator, step: dict[str, str], **bent: Any) -> httpx.Response:
    asked = await options(account, "/passkeys/login/options", step)
    return await post(account, "/passkeys/login", step | {"credential": device.get(asked, **bent)})


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.json()["type"]) == (401, "urn:codetect:problem:passkey-refused")


async def test_a_passkey_is_the_second_factor_from_the_first_login_on(house: House) -> None:
    account, device, first = await enrolled(house)
    assert len(first["recovery_codes"]) == 10
    assert (await account.get(AUTH + "/me", first["access_token"])).json()["email"] == account.email
    step = (await account.step_one()).json()
    assert step["methods"] == ["passkey", "recovery_code"]
    done = await log_in(account, device, {"mfa_token": step["mfa_token"]})
    assert done.status_code == 200
    assert done.headers["cache-control"] == "no-store"
    assert done.json().keys() == first.keys() - {"recovery_codes"}


async def test_what_a_browser_is_asked_requires_verification_at_the_facilitys_own_host(house: House) -> None:
    account = await house.account()
    enrolment = {"enrolment_token": (await account.step_one()).json()["enrolment_token"]}
    asked = await options(account, "/passkeys/enrol/options", enrolment)
    assert asked["rp"] == {"id": account.host, "name": "CoDetect Test Clinic"}
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["user"]["name"] == account.email

    account, device, _ = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", await second_step(account))
    assert (asked["rpId"], asked["userVerification"]) == (account.host, "required")
    assert [each["id"] for each in asked["allowCredentials"]] == [b64(id) for id in device.credentials]
    assert asked["allowCredentials"][0]["transports"] == ["hybrid", "internal"]


async def test_a_passkey_alone_logs_in_and_names_nobody_before(house: House) -> None:
    account, device, _ = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", {})
    assert asked["allowCredentials"] == []
    done = await post(account, "/passkeys/login", {"credential": device.get(asked)})
    assert done.status_code == 200
    assert (await account.get(AUTH + "/me", done.json()["access_token"])).json()["email"] == account.email


async def test_an_answer_works_once(house: House) -> None:
    account, device, _ = await enrolled(house, counts=False)  # so that nothing but the question is in the way
    for step in (await second_step(account), {}):
        asked = await options(account, "/passkeys/login/options", step)
        body = step | {"credential": device.get(asked)}
        assert (await post(account, "/passkeys/login", body)).status_code == 200
        again = body | (await second_step(account) if step else {})
        assert refused(await post(account, "/passkeys/login", again))


async def test_fifty_parallel_uses_of_one_question_are_one_success(house: House) -> None:
    account, device, _ = await enrolled(house, counts=False)
    asked = await options(account, "/passkeys/login/options", {})
    body = {"credential": device.get(asked)}
    answers = await asyncio.gather(*(post(account, "/passkeys/login", body) for _ in range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 401, 429}


async def test_fifty_answers_of_one_counter_value_are_one_success(house: House) -> None:
    """Each to a question of its own, so that only the counter can refuse: a copied device, used at the same time."""
    account, device, _ = await enrolled(house)
    bodies = []
    for _ in range(50):
        asked = await options(account, "/passkeys/login/options", {})
        bodies.append({"credential": device.clone().get(asked)})
    answers = await asyncio.gather(*(post(account, "/passkeys/login", body) for body in bodies))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 401, 429}


async def test_a_question_runs_out(house: House) -> None:
    account, device, _ = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", {})
    await house.sql("UPDATE passkey_challenges SET expires_at = now() - interval '1 second'")
    assert refused(await post(account, "/passkeys/login", {"credential": device.get(asked)}))


async def test_a_copied_device_whose_counter_goes_back_is_refused(house: House) -> None:
    account, device, _ = await enrolled(house)
    copy = device.clone()
    assert (await log_in(account, device, {})).status_code == 200
    assert (await log_in(account, device, {})).status_code == 200
    assert refused(await log_in(account, copy, {}))  # 1 after 2
    assert refused(await log_in(account, copy, {}))  # 2 after 2
    device.counts = False
    device.credentials[next(iter(device.credentials))].count = 0  # as if it had never counted
    assert refused(await log_in(account, device, {}))


async def test_an_authenticator_that_never_counts_goes_on_working(house: House) -> None:
    account, device, _ = await enrolled(house, counts=False)
    for _ in range(3):
        assert (await log_in(account, device, {})).status_code == 200


BENT: dict[str, Callable[[Account, Authenticator], dict[str, Any]]] = {
    "another origin": lambda a, d: {"client_data": {"origin": "https://evil.example"}},
    "a sub-domain of ours": lambda a, d: {"client_data": {"origin": f"https://x.{a.host}"}},
    "another port": lambda a, d: {"client_data": {"origin": f"https://{a.host}:8443"}},
    "another facility's page": lambda a, d: {"client_data": {"origin": "https://other.localhost"}},
    "inside a frame of another page": lambda a, d: {"client_data": {"crossOrigin": True}},
    "another rp id": lambda a, d: {"rp_id": "evil.example"},
    "the base domain as rp id": lambda a, d: {"rp_id": "localhost"},
    "a question we never asked": lambda a, d: {"client_data": {"challenge": b64(bytes(64))}},
    "an answer of the other kind": lambda a, d: {"client_data": {"type": "webauthn.create"}},
    "another person's handle": lambda a, d: {"user_handle": bytes(16)},
}


@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
async def test_a_bent_answer_is_refused(house: House, bend: Callable[[Account, Authenticator], dict[str, Any]]) -> None:
    account, device, _ = await enrolled(house)
    for step in ({}, await second_step(account)):
        assert refused(await log_in(account, device, step, **bend(account, device)))
    assert (await log_in(account, device, {})).status_code == 200


async def test_without_user_verification_nobody_registers_or_logs_in(house: House) -> None:
    account = await house.account()
    careless = device_of(account, verifies=False)
    enrolment = {"enrolment_token": (await account.step_one()).json()["enrolment_token"]}
    credential = careless.create(await options(account, "/passkeys/enrol/options", enrolment))
    assert refused(await post(account, "/passkeys/enrol", enrolment | {"credential": credential}))

    account, device, _ = await enrolled(house)
    device.verifies = False
    for step in ({}, await second_step(account)):
        assert refused(await log_in(account, device, step))


@pytest.mark.parametrize(
    "bent",
    [
        {"client_data": {"origin": "https://evil.example"}},
        {"client_data": {"crossOrigin": True}},
        {"client_data": {"type": "webauthn.get"}},
        {"rp_id": "evil.example"},
    ],
)
async def test_a_bent_registration_is_refused(house: House, bent: dict[str, Any]) -> None:
    account = await house.account()
    enrolment = {"enrolment_token": (await account.step_one()).json()["enrolment_token"]}
    asked = await options(account, "/passkeys/enrol/options", enrolment)
    credential = device_of(account).create(asked, **bent)
    assert refused(await post(account, "/passkeys/enrol", enrolment | {"credential": credential}))
    assert (await account.step_one()).json().keys() == {"enrolment_token"}


async def test_plain_http_is_the_machines_own_only(house: House) -> None:
    account, device, _ = await enrolled(house)
    device.origin = f"http://{account.host}"
    assert (await log_in(account, device, {})).status_code == 200
    account.client.headers["X-Forwarded-Host"] = account.host.upper() + ":8080"
    device.origin = f"http://{account.host.lower()}"
    assert (await log_in(account, device, {})).status_code == 200


async def test_another_persons_passkey_opens_nothing_of_mine(house: House) -> None:
    facility = await house.facility()
    people = [await house.account(facility=facility) for _ in range(2)]
    devices = []
    for account in people:
        enrolment = {"enrolment_token": (await account.step_one()).json()["enrolment_token"]}
        device = device_of(account)
        credential = device.create(await options(account, "/passkeys/enrol/options", enrolment))
        await post(account, "/passkeys/enrol", enrolment | {"credential": credential})
        devices.append(device)
    step = await second_step(people[0])
    asked = await options(people[0], "/passkeys/login/options", step)
    theirs = next(iter(devices[1].credentials))
    mine = devices[0].credentials[next(iter(devices[0].credentials))].user_handle
    for handle in ({}, {"user_handle": mine}):
        credential = devices[1].get(asked | {"allowCredentials": []}, id=theirs, **handle)
        assert refused(await post(people[0], "/passkeys/login", step | {"credential": credential}))
        asked = await options(people[0], "/passkeys/login/options", step)
    # Nor does a passkey alone, under another's name.
    assert refused(await log_in(people[0], devices[1], {}, user_handle=mine))
    # Nor can it be registered a second time, for somebody else.
    third = await house.account(facility=facility)
    enrolment = {"enrolment_token": (await third.step_one()).json()["enrolment_token"]}
    asked = await options(third, "/passkeys/enrol/options", enrolment)
    stolen = devices[1].credentials[theirs]
    credential = device_of(third).create(asked, id=stolen.id)
    assert refused(await post(third, "/passkeys/enrol", enrolment | {"credential": credential}))


async def test_another_facilitys_host_knows_no_such_passkey(house: House) -> None:
    account, device, _ = await enrolled(house)
    other = await house.account()
    asked = await options(other, "/passkeys/login/options", {})
    device.origin = f"https://{other.host}"
    assert refused(await post(other, "/passkeys/login", {"credential": device.get(asked, rp_id=other.host)}))
    # A question of the one facility is none at the other.
    asked = await options(account, "/passkeys/login/options", {})
    device.origin = f"https://{account.host}"
    assert refused(await post(other, "/passkeys/login", {"credential": device.get(asked)}))


async def test_a_question_for_one_thing_is_answered_for_no_other(house: House) -> None:
    account, device, first = await enrolled(house, counts=False)
    step = await second_step(account)
    alone = await options(account, "/passkeys/login/options", {})
    assert refused(await post(account, "/passkeys/login", step | {"credential": device.get(alone)}))
    bound = await options(account, "/passkeys/login/options", step)
    assert refused(await post(account, "/passkeys/login", {"credential": device.get(bound)}))
    bound = await options(account, "/passkeys/login/options", step)
    other_step = await second_step(account)
    assert refused(await post(account, "/passkeys/login", other_step | {"credential": device.get(bound)}))
    raised = await options(account, "/step-up/options", {}, first["access_token"])
    assert refused(await post(account, "/passkeys/login", {"credential": device.get(raised)}))


async def test_a_suspended_person_or_facility_is_not_let_in_by_a_passkey(house: House) -> None:
    account, device, _ = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", {})
    await house.sql("UPDATE people SET status = 'suspended' WHERE email = :email", email=account.email)
    assert refused(await post(account, "/passkeys/login", {"credential": device.get(asked)}))
    account, device, _ = await enrolled(house)
    slug = account.host.split(".")[0]
    asked = await options(account, "/passkeys/login/options", {})
    await house.sql("UPDATE facilities SET status = 'suspended' WHERE slug = :slug", slug=slug)
    assert refused(await post(account, "/passkeys/login", {"credential": device.get(asked)}))


async def test_who_has_a_factor_enrols_none_without_it(house: House) -> None:
    """Two first logins at once: the second to finish finds a factor there."""
    account = await house.account()
    tokens = [(await account.step_one()).json()["enrolment_token"] for _ in range(2)]
    bodies = []
    for token in tokens:
        asked = await options(account, "/passkeys/enrol/options", {"enrolment_token": token})
        bodies.append({"enrolment_token": token, "credential": device_of(account).create(asked)})
    answers = await asyncio.gather(*(post(account, "/passkeys/enrol", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


@pytest.mark.parametrize(
    "change",
    [
        {"rawId": "!!!!"},
        {"rawId": "A"},
        {"type": "password"},
        {"response": {"clientDataJSON": "AAAA", "authenticatorData": "AAAA", "signature": "AAAA"}},
        {"response": {"clientDataJSON": b64(b'{"challenge": 7, "type": [], "origin": {}}'), "userHandle": "A"}},
        {"response": None},
    ],
)
async def test_what_is_no_answer_is_refused_in_words(house: House, change: dict[str, Any]) -> None:
    account, device, _ = await enrolled(house)
    asked = await options(account, "/passkeys/login/options", {})
    body = {"credential": device.get(asked) | change}
    answer = await post(account, "/passkeys/login", body)
    assert answer.status_code in (401, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("part", ["authenticatorData", "signature"])
async def test_no_byte_of_an_answer_can_be_another(house: House, part: str) -> None:
    account, device, _ = await enrolled(house, counts=False)
    for place in range(0, 37, 4):
        asked = await options(account, "/passkeys/login/options", {})
        credential = device.get(asked)
        raw = bytearray(unb64(credential["response"][part]))
        raw[place] ^= 1
        credential["response"][part] = b64(bytes(raw))
        assert refused(await post(account, "/passkeys/login", {"credential": credential}))
        await house.pass_time(3600)
