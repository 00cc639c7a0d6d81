"""Inviting one or many, sending again, taking back, and coming in with the link."""

import asyncio
import secrets
from collections import Counter
from typing import Any

import httpx
import pytest
from codetect_auth.app import sweep
from codetect_shared.tokens import Role

from tests.auth.access.conftest import PASSWORD, Desk, desk_of
from tests.auth.conftest import House


def somebody() -> str:
    return f"{secrets.token_hex(6)}@clinic.example"


async def invite(desk: Desk, *people: tuple[str, str]) -> list[dict[str, Any]]:
    body = [{"email": email, "name": "Ines Invited", "role": role} for email, role in people]
    answer = await desk.ask("POST", "/invitations", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def csv(desk: Desk, text: str) -> httpx.Response:
    return await desk.ask("POST", "/invitations", content=text.encode(), headers={"Content-Type": "text/csv"})


async def test_ten_colleagues_are_invited_from_a_spreadsheet_and_each_row_has_its_outcome(desk: Desk) -> None:
    emails = [somebody() for _ in range(10)]
    rows = [f"{email};Colleague {n};{'viewer' if n % 2 else ''}" for n, email in enumerate(emails)]
    bad = [f"{emails[0]};Twice;member", f"{desk.account.email};Me;admin", "no address;X;member", f"{somebody()};X;boss"]
    answer = await csv(desk, "\ufeffEmail;Name;Role\r\n" + "\r\n".join([*rows, "", *bad]))
    outcomes = answer.json()["items"]
    assert [item["outcome"] for item in outcomes] == ["invited"] * 10 + [
        "already_invited",
        "already_member",
        "refused",
        "refused",
    ]
    assert [item["invitation"]["role"] for item in outcomes[:2]] == ["member", "viewer"]
    assert "admin, member, viewer" in outcomes[-1]["detail"]
    assert all([len(await desk.house.mails(email, "invitation")) == 1 for email in emails])


async def test_a_spreadsheet_may_have_its_columns_in_any_order_or_none_named(desk: Desk) -> None:
    one, other = somebody(), somebody()
    assert (await csv(desk, f"name,email\nA,{one}\n")).json()["items"][0]["outcome"] == "invited"
    named = (await csv(desk, f"{other},B,viewer")).json()["items"][0]["invitation"]
    assert (named["email"], named["name"], named["role"]) == (other, "B", "viewer")


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 422),
        (b"email,name\n" + b"a@b.example,A\n" * 201, "text/csv", 422),
        (b"\xff\xfe", "text/csv", 422),
        (b"email,role\na@b.example,member", "text/csv", 422),
        (b"[]", "application/json", 422),
        (b"{", "application/json", 422),
        (b'{"email": "a@b.example"}', "application/json", 422),
        (b"a@b.example", "text/plain", 415),
    ],
)
async def test_what_is_no_list_of_people_is_refused(desk: Desk, content: bytes, kind: str, status: int) -> None:
    answer = await desk.ask("POST", "/invitations", content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_link_works_once_also_fifty_times_at_once(desk: Desk) -> None:
    email = somebody()
    await invite(desk, (email, "member"))
    token = await desk.house.token(email, "invitation")
    answers = await asyncio.gather(*(desk.accept(email, token=token) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 410: 49}
    assert (await desk.accept(email, token=token)).status_code == 410


async def test_the_link_of_before_is_void_once_another_is_sent(desk: Desk) -> None:
    email = somebody()
    [made] = await invite(desk, (email, "member"))
    first = await desk.house.token(email, "invitation")
    path = f"/invitations/{made['invitation']['id']}"
    again = await desk.ask("POST", f"{path}/resend")
    assert (again.status_code, again.json()["sent"]) == (200, 2)
    assert (await desk.accept(email, token=first)).status_code == 410
    assert (await desk.accept(email)).status_code == 200
    assert (await desk.ask("POST", f"{path}/resend")).status_code == 409
    assert (await desk.ask("DELETE", path)).status_code == 409


async def test_an_invitation_that_is_taken_back_or_has_run_out_opens_nothing(desk: Desk) -> None:
    gone, late = somebody(), somebody()
    one, other = await invite(desk, (gone, "member"), (late, "member"))
    assert (await desk.ask("DELETE", f"/invitations/{one['invitation']['id']}")).status_code == 204
    assert (await desk.accept(gone)).status_code == 410
    await desk.house.sql("UPDATE invitations SET expires_at = now() WHERE email = :e", e=late)
    assert (await desk.accept(late)).status_code == 410
    await sweep(desk.house.auth)
    listed = (await desk.ask("GET", "/invitations?status=expired")).json()["items"]
    assert [item["email"] for item in listed] == [late]
    assert (await desk.ask("POST", f"/invitations/{other['invitation']['id']}/resend")).json()["state"] == "open"
    assert (await desk.accept(late)).status_code == 200


async def test_two_lists_at_once_invite_each_person_once(desk: Desk) -> None:
    people = [(somebody(), "member") for _ in range(20)]
    lists = await asyncio.gather(*(invite(desk, *order) for order in (people, people[::-1], people, people[::-1])))
    assert Counter(item["outcome"] for outcomes in lists for item in outcomes) == {"invited": 20, "already_invited": 60}


async def test_a_password_that_is_guessed_first_is_refused_in_words_and_the_link_stays_good(desk: Desk) -> None:
    email = "magdalena.hutterer@clinic.example"
    await invite(desk, (email, "member"))
    for password in ("short", "qwertyuiop123", "passwordpassword", "magdalena.hutterer", "Test Clinic 12", "x" * 257):
        refused = await desk.accept(email, password)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:codetect:problem:password-refused"), password
        assert refused.json()["detail"]
    assert (await desk.accept(email, "all lowercase words stand")).status_code == 200


async def test_with_a_good_link_a_weak_password_or_old_terms_are_no_guess_and_keep_no_colleague_out(desk: Desk) -> None:
    one, colleague = somebody(), somebody()
    await invite(desk, (one, "member"), (colleague, "member"))
    token, version = await desk.house.token(one, "invitation"), (await desk.knock("GET", "/terms")).json()["version"]
    weak = {"token": token, "password": "password1234", "terms_version": version}
    for body in (weak, weak | {"terms_version": version + 1}) * 3:
        answers = await asyncio.gather(*(desk.knock("POST", "/invitations/accept", json=body) for _ in range(10)))
        assert not {answer.status_code for answer in answers} & {200, 410, 429}
    assert (await desk.accept(colleague)).status_code == 200
    assert (await desk.accept(one)).status_code == 200


async def test_who_comes_in_has_read_the_terms_in_force(desk: Desk) -> None:
    email = somebody()
    await invite(desk, (email, "member"))
    present = (await desk.knock("GET", "/terms")).json()
    for version in (present["version"] + 1, -1):
        refused = await desk.accept(email, version=version)
        assert (refused.status_code, refused.json()["version"]) == (409, present["version"])
    assert (await desk.accept(email)).status_code == 200


async def test_a_new_version_of_the_terms_asks_everybody_once(house: House, desk: Desk) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    before = (await desk.knock("GET", "/terms")).json()["version"]
    assert (await desk.ask("POST", "/terms", json={"text": "Be kind."})).status_code == 403
    new = (await operator.ask("POST", "/terms", json={"text": "Be kind."})).json()["version"]
    assert new == before + 1
    assert (await desk.ask("GET", "/auth/me")).json()["terms_due"] == new
    assert (await desk.ask("POST", "/auth/terms", json={"version": before})).status_code == 409
    for _ in range(2):
        assert (await desk.ask("POST", "/auth/terms", json={"version": new})).status_code == 204
    assert (await desk.ask("GET", "/auth/me")).json()["terms_due"] is None
    assert (await desk.knock("GET", f"/terms/{before}")).json()["version"] == before
    assert (await desk.knock("GET", "/terms")).json()["text"] == "Be kind."


async def test_a_mailed_link_gives_no_token_before_the_second_factor_is_set(desk: Desk) -> None:
    email = somebody()
    await invite(desk, (email, "member"))
    enrolment = (await desk.accept(email)).json()["enrolment_token"]
    mfa = {"mfa_token": enrolment, "method": "totp", "code": "000000"}
    assert (await desk.knock("POST", "/auth/mfa", json=mfa)).status_code == 401
    assert (await desk.knock("POST", "/auth/refresh", json={"refresh_token": enrolment})).status_code == 401
    confirm = {"enrolment_token": enrolment, "code": "000000"}
    assert (await desk.knock("POST", "/auth/totp/confirm", json=confirm)).status_code == 401
    assert "access_token" in await desk.account_of(email, PASSWORD).enrol()


async def test_operators_invite_operators_and_nobody_else_does(house: House, desk: Desk) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    email = somebody()
    [refused] = await invite(operator, (email, "member"))
    assert refused["outcome"] == "refused"
    assert [item["outcome"] for item in await invite(desk, (email, "operator"))] == ["refused"]
    assert [item["outcome"] for item in await invite(operator, (email, "operator"))] == ["invited"]
    for role in (Role.MEMBER, Role.VIEWER):
        colleague = await desk_of(house, role, desk.facility)
        assert (await colleague.ask("POST", "/invitations", json=[])).status_code == 403


async def test_another_facilitys_invitations_are_not_there(house: House, desk: Desk) -> None:
    [made] = await invite(desk, (somebody(), "member"))
    other = await desk_of(house)
    path = f"/invitations/{made['invitation']['id']}"
    assert (await other.ask("GET", "/invitations")).json()["items"] == []
    assert (await other.ask("DELETE", path)).status_code == 404
    assert (await other.ask("POST", f"{path}/resend")).status_code == 404
