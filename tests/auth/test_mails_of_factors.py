"""Whoever's second factors change hears of it; and no kind of mail has words that nobody asks for."""

import ast
import asyncio
from pathlib import Path
from typing import Any

import codetect_auth
import pytest
from codetect_auth.mails.kinds import Kind
from codetect_shared.tokens import Role

from tests.auth.access.conftest import desk_of
from tests.auth.conftest import Account, House, Shell
from tests.auth.test_factors import FACTORS, add_totp, logged_in
from tests.auth.test_members import change, clinic, reset
from tests.auth.test_passkeys import device_of, enrolled, options, post

CHANGED, RESET, USED = Kind.FACTOR_CHANGED, Kind.FACTORS_RESET, Kind.RECOVERY_CODE_USED


def asked_for() -> set[Kind]:
    """Kinds that some call in the service's code is given."""
    found = set()
    for path in Path(codetect_auth.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            for given in call.args if isinstance(call, ast.Call) else []:
                if isinstance(given, ast.Attribute) and isinstance(given.value, ast.Name) and given.value.id == "Kind":
                    found.add(Kind[given.attr])
    return found


def test_every_kind_of_mail_is_asked_for_somewhere() -> None:
    assert set(Kind) - asked_for() == set()


async def told(house: House, account: Account, kind: Kind = CHANGED) -> list[dict[str, Any]]:
    return [mail | {"kind": ""} for mail in await house.mails(account.email, kind)]


def changed(what: str, name: str = "") -> dict[str, str]:
    return {"kind": "", "what": what, "name": name}


async def test_each_factor_that_comes_or_goes_is_mailed_to_its_owner(house: House) -> None:
    account, token = await logged_in(house)
    _, added = await add_totp(account, token, "Tablet")
    asked = await options(account, "/passkeys/options", {}, token)
    made = {"credential": device_of(account).create(asked), "name": "Key"}
    assert (await post(account, "/passkeys", made, token)).status_code == 201
    assert (await post(account, "/recovery-codes", {}, token)).status_code == 201
    path = f"{FACTORS}/{added.json()['id']}"
    assert (await account.send("PATCH", path, token, {"name": "Old tablet"})).status_code == 200
    assert (await account.send("DELETE", path, token)).status_code == 204
    assert (await account.send("DELETE", path, token)).status_code == 404
    assert await told(house, account) == [
        changed("added", "Tablet"),
        changed("added", "Key"),
        changed("recovery codes"),
        changed("removed", "Old tablet"),
    ]


async def test_what_was_refused_is_not_mailed(house: House) -> None:
    account, token = await logged_in(house)
    [only] = (await account.get(FACTORS, token)).json()["items"]
    assert (await account.send("DELETE", f"{FACTORS}/{only['id']}", token)).status_code == 409
    started = (await post(account, "/factors/totp", {}, token)).json()
    wrong = {"factor_token": started["factor_token"], "code": "000000"}
    assert (await post(account, "/factors/totp/confirm", wrong, token)).status_code == 403
    assert await told(house, account) == []


async def test_of_a_factor_removed_twice_at_once_one_mail_goes(house: House) -> None:
    account, token = await logged_in(house)
    _, added = await add_totp(account, token, "Tablet")
    path = f"{FACTORS}/{added.json()['id']}"
    answers = await asyncio.gather(*(account.send("DELETE", path, token) for _ in range(5)))
    assert [answer.status_code for answer in answers].count(204) == 1
    assert (await told(house, account))[1:] == [changed("removed", "Tablet")]


async def test_the_first_factor_is_a_welcome_and_one_after_a_reset_is_news(house: House) -> None:
    admin, token, member, _ = await clinic(house)
    assert len(await house.mails(member.email, Kind.WELCOME)) == 1
    assert await told(house, member) == []
    assert (await reset(house, admin, token, member)).status_code == 204
    await member.enrol()
    assert await told(house, member) == [changed("added", "Authenticator app")]
    assert len(await house.mails(member.email, Kind.WELCOME)) == 1


async def test_a_first_passkey_is_a_welcome_too(house: House) -> None:
    account, _, _ = await enrolled(house)
    assert [mail["kind"] for mail in await house.mails(account.email)] == [Kind.WELCOME]


async def test_nobody_is_welcomed_before_the_second_factor(house: House) -> None:
    desk = await desk_of(house)
    email = await desk.request()
    await desk.confirm(email)
    await desk.ask("POST", f"/access-requests/{(await desk.waiting(email))['id']}/approve", json={})
    assert (await desk.accept(email)).status_code == 200
    assert await house.mails(email, Kind.WELCOME) == []
    await desk.account_of(email).enrol()
    assert len(await house.mails(email, Kind.WELCOME)) == 1


async def test_a_recovery_code_is_mailed_when_it_opens_a_login_and_when_it_confirms_one(house: House) -> None:
    account, token = await logged_in(house)
    step = (await account.step_one()).json()["mfa_token"]
    assert (await account.step_two(step, account.code())).status_code == 200
    assert await told(house, account, USED) == []
    step = (await account.step_one()).json()["mfa_token"]
    assert (await account.step_two(step, account.recovery_codes[0], "recovery_code")).status_code == 200
    assert await told(house, account, USED) == [{"kind": "", "left": 9}]
    proof = {"method": "recovery_code", "code": account.recovery_codes[1]}
    assert (await post(account, "/step-up", proof, token)).status_code == 200
    assert (await post(account, "/step-up", proof, token)).status_code == 403
    assert [mail["left"] for mail in await told(house, account, USED)] == [9, 8]


async def test_of_one_recovery_code_given_ten_times_at_once_one_mail_goes(house: House) -> None:
    account, token = await logged_in(house)
    proof = {"method": "recovery_code", "code": account.recovery_codes[0]}
    answers = await asyncio.gather(*(post(account, "/step-up", proof, token) for _ in range(10)))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert await told(house, account, USED) == [{"kind": "", "left": 9}]


async def test_a_reset_is_mailed_to_the_person_and_to_all_active_admins(house: House) -> None:
    admin, token, member, _ = await clinic(house)
    facility = await house.auth.facility_of(admin.host)
    second, third = [await house.account(Role.ADMIN, facility) for _ in range(2)]
    colleague, operator = await house.account(Role.MEMBER, facility), await house.account(Role.OPERATOR)
    assert (await change(house, admin, token, third, status="suspended")).status_code == 200
    assert (await reset(house, admin, token, member, reason="Phone lost.")).status_code == 204
    said = [{"kind": "", "name": "Test Person", "by": "Test Person", "reason": "Phone lost."}]
    for each in (member, admin, second):
        assert await told(house, each, RESET) == said
    for each in (third, colleague, operator):
        assert await told(house, each, RESET) == []
    assert (await reset(house, admin, token, second)).status_code == 204  # an admin, as person and admin: one mail
    assert [mail["reason"] for mail in await told(house, second, RESET)] == ["Phone lost.", ""]


async def test_a_refused_reset_is_not_mailed(house: House) -> None:
    admin, token, member, _ = await clinic(house)
    operator = await desk_of(house, Role.OPERATOR)
    assert (await reset(house, admin, token, admin)).status_code == 409
    assert (await reset(house, operator.account, operator.access_token, admin)).status_code == 422
    assert (await reset(house, operator.account, operator.access_token, member, reason="x")).status_code == 404
    for each in (admin, member, operator.account):
        assert await told(house, each, RESET) == []


async def test_all_see_that_an_operator_helped_a_sole_admin(house: House) -> None:
    admin, _, member, _ = await clinic(house)
    operator, other = await desk_of(house, Role.OPERATOR), await house.account(Role.OPERATOR)
    account = operator.account
    assert (await reset(house, account, operator.access_token, admin, reason="Phone lost.")).status_code == 204
    here = {"kind": "", "name": "Test Person", "by": "an operator", "reason": "Phone lost."}
    assert await told(house, admin, RESET) == [here]
    for each in (account, other):
        assert await told(house, each, RESET) == [here | {"name": "Test Person, Test Clinic", "by": "Test Person"}]
    assert await told(house, member, RESET) == []
    where = await house.sql(
        "SELECT f.slug FROM mails m JOIN facilities f ON f.id = m.facility_id WHERE m.kind = 'factors_reset'"
        " AND m.cause LIKE :to",
        to=f"%/{await house.id_of(other)}",
    )
    assert [slug for (slug,) in where] == ["admin"]  # an operator's address is not the facility's to see
    await admin.enrol()
    step = (await admin.step_one()).json()["mfa_token"]
    mine = (await admin.step_two(step, admin.code())).json()["access_token"]
    listed = (await admin.get("/api/v1/access-steps?by_role=operator", mine)).json()["items"]
    assert [(each["step"], each["reason"]) for each in listed] == [("factors reset", "Phone lost.")]


async def test_an_operators_factors_reset_by_a_colleague_are_the_operators_to_know(house: House) -> None:
    operator, other = await desk_of(house, Role.OPERATOR), await house.account(Role.OPERATOR)
    assert (await reset(house, operator.account, operator.access_token, other)).status_code == 204
    for each in (operator.account, other):
        assert len(await told(house, each, RESET)) == 1


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER])
async def test_a_command_resets_lost_factors_and_all_hear_of_it(house: House, shell: Shell, role: Role) -> None:
    admin, _, member, mine = await clinic(house)
    operator = await house.account(Role.OPERATOR)
    person, slug = admin if role is Role.ADMIN else member, admin.host.partition(".")[0]
    order = ("reset-factors", "--facility", slug, "--email", person.email.upper())
    assert (await shell(*order))[0] == 2  # no reason
    assert (await shell("reset-factors", "--facility", slug, "--email", "x@y.example", "--reason", "x"))[0] == 1
    code, done, _ = await shell(*order, "--reason", "Phone lost.")
    assert (code, done["email"]) == (0, person.email)
    assert (await person.step_one()).json().keys() == {"enrolment_token"}
    here = {"kind": "", "name": "Test Person", "by": "an operator", "reason": "Phone lost."}
    for each in {person.email: person, admin.email: admin}.values():
        assert await told(house, each, RESET) == [here]
    assert await told(house, operator, RESET) == [here | {"name": "Test Person, Test Clinic"}]
    if role is Role.MEMBER:
        assert (await member.get("/api/v1/auth/me", mine["access_token"])).status_code == 401


async def test_a_sole_operator_gets_back_in_by_command(house: House, shell: Shell) -> None:
    operator = await house.account(Role.OPERATOR)
    await operator.enrol()
    order = ("reset-factors", "--facility", "admin", "--email", operator.email, "--reason", "Phone lost.")
    assert (await shell(*order))[0] == 0
    assert (await operator.step_one()).json().keys() == {"enrolment_token"}
    assert len(await told(house, operator, RESET)) == 1


async def test_rights_given_by_command_are_mailed(house: House, shell: Shell) -> None:
    member = await house.account()
    order = ("grant", "--facility", member.host.partition(".")[0], "--email", member.email, "--right", "identity")
    for _ in range(2):  # the second gives nothing new
        assert (await shell(*order))[1]["rights"] == ["identity"]
    assert await told(house, member, Kind.MEMBER_CHANGED) == [{"kind": "", "what": "rights", "by": "an operator"}]
