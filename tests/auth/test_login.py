"""The whole way in over HTTP, and what is refused on it."""

import asyncio
import statistics
import time
from collections import Counter

import pyotp
import pytest
from codetect_auth import second_factor
from codetect_shared import tokens
from codetect_shared.tokens import Role

from tests.auth.conftest import House

METHODS = ["password+totp", "password+passkey", "passkey"]


async def test_first_login_sets_up_a_second_factor_and_the_next_one_asks_for_it(house: House) -> None:
    account = await house.account()
    first = await account.step_one()
    assert first.status_code == 200
    token = first.json()["enrolment_token"]
    assert first.json().keys() == {"enrolment_token"}

    enrolment = (await account.client.post("/api/v1/auth/totp/enrol", json={"enrolment_token": token})).json()
    again = (await account.client.post("/api/v1/auth/totp/enrol", json={"enrolment_token": token})).json()
    assert enrolment == again
    assert enrolment["otpauth_uri"].startswith("otpauth://totp/CoDetect%20Test%20Clinic:")
    assert pyotp.parse_uri(enrolment["otpauth_uri"]).secret == enrolment["secret"]
    assert enrolment["qr_svg"].startswith("<svg")

    account.totp_secret = enrolment["secret"]
    body = {"enrolment_token": token, "code": account.code()}
    confirmed = await account.client.post("/api/v1/auth/totp/confirm", json=body)
    assert confirmed.status_code == 200
    assert confirmed.headers["cache-control"] == "no-store"
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    assert (await account.client.post("/api/v1/auth/totp/confirm", json=body)).status_code == 401

    second = (await account.step_one()).json()
    assert second.keys() == {"mfa_token", "methods"}
    assert second["methods"] == ["totp", "recovery_code"]
    done = await account.step_two(second["mfa_token"], account.code(1))
    assert done.status_code == 200
    assert done.json()["expires_in"] == 600

    me = (await account.get("/api/v1/auth/me", done.json()["access_token"])).json()
    assert (me["email"], me["role"], me["facility"]["name"]) == (account.email, "member", "Test Clinic")


async def test_a_login_is_told_as_events_in_order(house: House) -> None:
    account = await house.account()
    await account.enrol()
    rows = await house.sql(
        "SELECT o.type, o.sequence, o.data FROM outbox o JOIN people p ON o.subject = 'person/' || p.id"
        " WHERE p.email = :email ORDER BY o.id",
        email=account.email,
    )
    assert [(row.type, row.sequence) for row in rows] == [
        ("codetect.person.added.v1", 1),
        ("codetect.person.factor_added.v1", 2),
        ("codetect.person.authenticated.v1", 3),
    ]
    assert account.email not in str(rows)


async def test_an_access_token_verifies_with_the_published_keys(house: House) -> None:
    account = await house.account()
    access = (await account.enrol())["access_token"]
    jwks = tokens.parse_jwks((await account.client.get("/.well-known/jwks.json")).json())
    principal = tokens.verify(access, jwks, issuer=house.auth.settings.issuer)
    assert (principal.role, principal.slug) == (Role.MEMBER, (await house.auth.facility_of(account.host)).slug)  # type: ignore[union-attr]


async def test_the_secret_lies_sealed_in_the_database(house: House) -> None:
    account = await house.account()
    await account.enrol()
    rows = await house.sql("SELECT sealed_secret FROM totp_factors")
    assert all(account.totp_secret.encode() not in row.sealed_secret for row in rows)


async def test_a_code_works_once(house: House) -> None:
    account = await house.account()
    await account.enrol()
    code = account.code()
    first, second = [(await account.step_one()).json()["mfa_token"] for _ in range(2)]
    assert (await account.step_two(first, code)).status_code == 200
    refused = await account.step_two(second, code)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:codetect:problem:code-refused")


async def test_an_older_code_is_refused_after_a_younger_one(house: House) -> None:
    account = await house.account()
    await account.enrol()
    first, second = [(await account.step_one()).json()["mfa_token"] for _ in range(2)]
    assert (await account.step_two(first, account.code(1))).status_code == 200
    assert (await account.step_two(second, account.code())).status_code == 401


async def test_fifty_parallel_uses_of_one_code_are_one_success(house: House) -> None:
    account = await house.account()
    await account.enrol()
    steps = [(await account.step_one()).json()["mfa_token"] for _ in range(10)] * 5
    code = account.code()
    answers = await asyncio.gather(*(account.step_two(step, code) for step in steps))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 401, 429}


async def test_fifty_parallel_transactions_spend_one_code_once(house: House) -> None:
    """The same without login steps and throttle in front, so that nothing but the code's own step can refuse."""
    account = await house.account()
    await account.enrol()
    [(person_id, facility_id)] = await house.sql("SELECT id, facility_id FROM people WHERE email = :e", e=account.email)
    code, master_key = account.code(), house.auth.settings.master_key

    async def use() -> str:
        try:
            async with house.auth.db.facility(facility_id) as session:
                await second_factor.use_totp(session, master_key, person_id, code)
        except second_factor.CodeRefused:
            return "refused"
        return "accepted"

    assert Counter(await asyncio.gather(*(use() for _ in range(50)))) == {"accepted": 1, "refused": 49}


async def test_fifty_parallel_uses_of_one_login_step_are_one_success(house: House) -> None:
    account = await house.account()
    await account.enrol()
    step = (await account.step_one()).json()["mfa_token"]
    answers = await asyncio.gather(*(account.step_two(step, account.code()) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 49}


async def test_a_login_step_takes_five_codes_and_no_more(house: House) -> None:
    account = await house.account()
    await account.enrol()
    step = (await account.step_one()).json()["mfa_token"]
    for _ in range(5):
        assert (await account.step_two(step, "000000")).json()["type"].endswith("code-refused")
    await house.pass_time(3600)
    assert (await account.step_two(step, account.code())).json()["type"].endswith("step-expired")


async def test_codes_are_throttled_across_logins(house: House) -> None:
    account = await house.account()
    await account.enrol()
    statuses = []
    for _ in range(10):
        step = (await account.step_one()).json()["mfa_token"]
        statuses.append((await account.step_two(step, "000000")).status_code)
    assert statuses == [401] * 5 + [429] * 5


async def test_a_recovery_code_works_once_however_it_is_typed(house: House) -> None:
    account = await house.account()
    await account.enrol()
    code = account.recovery_codes[3]
    first, second, third = [(await account.step_one()).json()["mfa_token"] for _ in range(3)]
    assert (await account.step_two(first, code.upper().replace("-", " "), "recovery_code")).status_code == 200
    assert (await account.step_two(second, code, "recovery_code")).status_code == 401
    assert (await account.step_two(third, account.recovery_codes[4], "recovery_code")).status_code == 200


async def test_a_login_step_that_ran_out_is_refused(house: House) -> None:
    account = await house.account()
    await account.enrol()
    step = (await account.step_one()).json()["mfa_token"]
    await house.sql("UPDATE login_challenges SET expires_at = now() - interval '1 second'")
    assert (await account.step_two(step, account.code())).status_code == 401


async def test_an_enrolment_token_is_no_mfa_token_nor_the_other_way_round(house: House) -> None:
    account, enrolled = await house.account(), await house.account()
    await enrolled.enrol()
    enrolment, mfa = (
        (await account.step_one()).json()["enrolment_token"],
        (await enrolled.step_one()).json()["mfa_token"],
    )
    assert (await enrolled.step_two(enrolment, enrolled.code())).status_code == 401
    assert (await enrolled.client.post("/api/v1/auth/totp/enrol", json={"enrolment_token": mfa})).status_code == 401


async def test_two_enrolments_at_once_leave_one_factor(house: House) -> None:
    account = await house.account()
    steps = [(await account.step_one()).json()["enrolment_token"] for _ in range(2)]
    bodies = []
    for token in steps:
        secret = (await account.client.post("/api/v1/auth/totp/enrol", json={"enrolment_token": token})).json()[
            "secret"
        ]
        bodies.append({"enrolment_token": token, "code": pyotp.TOTP(secret).now()})
    answers = await asyncio.gather(*(account.client.post("/api/v1/auth/totp/confirm", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


@pytest.mark.parametrize(
    "who", ["a wrong password", "nobody", "another facility's host", "no facility's host", "suspended"]
)
async def test_who_cannot_log_in_learns_nothing_about_why(house: House, who: str) -> None:
    account, other = await house.account(), await house.account()
    match who:
        case "a wrong password":
            account.password += "x"
        case "nobody":
            account.email = "nobody@clinic.example"
        case "another facility's host":
            account.client = other.client
        case "no facility's host":
            account.client = house.client("nowhere.localhost")
        case "suspended":
            await house.sql("UPDATE people SET status = 'suspended' WHERE email = :email", email=account.email)
    answer = await account.step_one()
    assert (answer.status_code, answer.json()) == (
        401,
        {
            "type": "urn:codetect:problem:login-refused",
            "title": "The e-mail address or the password is wrong.",
            "status": 401,
        },
    )


async def test_known_and_unknown_people_take_the_same_time(house: House) -> None:
    known, unknown = await house.account(), await house.account()
    known.password, unknown.email = "wrong" * 4, "nobody@clinic.example"

    async def seconds(account: object) -> float:
        await house.sql("DELETE FROM throttle")
        started = time.perf_counter()
        await account.step_one()  # type: ignore[attr-defined]
        return time.perf_counter() - started

    pairs = [(await seconds(known), await seconds(unknown)) for _ in range(25)]
    one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert abs(one - other) < 0.5 * max(one, other)


async def test_a_suspended_facility_lets_nobody_in(house: House) -> None:
    account = await house.account()
    tokens = await account.enrol()
    slug = account.host.split(".")[0]
    await house.sql("UPDATE facilities SET status = 'suspended' WHERE slug = :slug", slug=slug)
    assert (await account.step_one()).status_code == 401
    assert (await account.refresh(tokens["refresh_token"])).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@b.example"},
        {"email": "a\0b@c.example", "password": "x"},
        {"email": "a" * 400, "password": "x"},
        {"email": "a@b.example", "password": "x" * 300},
        {"email": ["a@b.example"], "password": "x"},
    ],
)
async def test_what_is_no_login_is_refused_before_it_costs_anything(house: House, body: dict[str, object]) -> None:
    answer = await house.client("nowhere.localhost").post("/api/v1/auth/login", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_the_facility_is_named_by_its_host_alone(house: House) -> None:
    facility = await house.facility()
    for host_name in (f"{facility.slug}.localhost", f"{facility.slug.upper()}.LOCALHOST:8080"):
        answer = await house.client(host_name).get("/api/v1/facility")
        assert answer.json() == {"slug": facility.slug, "name": "Test Clinic", "login_methods": METHODS}
    for host_name in ("localhost", f"{facility.slug}.localhost.evil.test", f"x.{facility.slug}.localhost", "[::1]:80"):
        assert (await house.client(host_name).get("/api/v1/facility")).status_code == 404
