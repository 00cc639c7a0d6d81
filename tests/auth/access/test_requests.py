"""Asking to come in: confirmed from the mailbox, decided by an admin, and nothing told of who exists."""

import asyncio
import statistics
import time
from collections import Counter

import pytest
from codetect_auth.access import links, states
from codetect_auth.app import sweep
from codetect_shared.tokens import Role

from tests.auth.access.conftest import PASSWORD, Desk, desk_of
from tests.auth.conftest import House


async def test_the_whole_way_in(desk: Desk) -> None:
    email = await desk.request("Nora.New@clinic.example", role="admin")
    assert (await desk.ask("GET", "/access-requests")).json()["items"] == []
    [mail] = await desk.house.mails(email)
    page = desk.house.auth.settings.url(desk.facility.slug, "/access/confirm")
    assert mail["url"].startswith(f"{page}#token=")
    assert (await desk.confirm(email)).json() == {"state": "waiting"}

    [told] = await desk.house.mails(desk.account.email, "access_requested")
    waiting = await desk.waiting(email)
    assert told["url"].endswith(f"/access/requests/{waiting['id']}")
    assert told | {"url": "", "kind": ""} == {
        "kind": "",
        "url": "",
        "name": "Nora New",
        "email": email,
        "role": "admin",
        "reason": "I read CTs here",
    }
    approved = await desk.ask("POST", f"/access-requests/{waiting['id']}/approve", json={"role": "viewer"})
    assert (approved.status_code, approved.json()["role"]) == (200, "viewer")
    [invited] = await desk.house.mails(email, "invitation")
    assert invited["invited_by"] == "Test Person"
    account = desk.account_of(email)
    assert (await account.step_one()).status_code == 401

    accepted = await desk.accept(email)
    assert (accepted.status_code, accepted.json().keys()) == (200, {"enrolment_token"})
    assert (await account.step_one()).json().keys() == {"enrolment_token"}
    tokens = await account.enrol()
    me = (await account.get("/api/v1/auth/me", tokens["access_token"])).json()
    assert (me["role"], me["name"], me["terms_due"]) == ("viewer", "Nora New", None)
    assert [mail["kind"] for mail in await desk.house.mails(email)] == ["confirm_address", "invitation", "welcome"]

    steps = [(step["about"], step["was"], step["now"], step["by_role"]) for step in await desk.steps()]
    assert steps == [
        ("invitation", "open", "accepted", "link"),
        ("invitation", None, "open", "admin"),
        ("access_request", "confirmed", "approved", "admin"),
        ("access_request", "unconfirmed", "confirmed", "link"),
        ("access_request", None, "unconfirmed", "nobody"),
    ]


async def test_a_refusal_is_told_with_its_reason_and_cannot_be_taken_back(desk: Desk) -> None:
    email = await desk.request()
    await desk.confirm(email)
    path = f"/access-requests/{(await desk.waiting(email))['id']}"
    rejected = await desk.ask("POST", f"{path}/reject", json={"reason": "We don't know you."})
    assert rejected.json()["state"] == "rejected"
    assert (await desk.house.mails(email, "access_refused"))[0]["reason"] == "We don't know you."
    late = await desk.ask("POST", f"{path}/approve", json={})
    assert (late.status_code, late.json()["type"]) == (409, "urn:codetect:problem:request-decided")
    assert (await desk.steps())[0]["reason"] == "We don't know you."


async def test_of_fifty_confirmations_and_decisions_at_once_one_counts(desk: Desk) -> None:
    email = await desk.request()
    answers = await asyncio.gather(*(desk.confirm(email) for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 410: 49}
    path = f"/access-requests/{(await desk.waiting(email))['id']}"
    verdicts = [("approve", {}), ("reject", {"reason": "no"})] * 10
    answers = await asyncio.gather(*(desk.ask("POST", f"{path}/{verb}", json=body) for verb, body in verdicts))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}


async def test_who_is_known_asked_already_or_neither_gets_one_answer_in_one_time(desk: Desk) -> None:
    member = desk.account.email
    asked = await desk.request()
    await desk.confirm(asked)

    async def seconds(email: str) -> float:
        await desk.house.sql("DELETE FROM throttle")
        started = time.perf_counter()
        await desk.request(email)
        return time.perf_counter() - started

    rows = [[await seconds(email) for email in (member, asked, f"new-{n}@clinic.example")] for n in range(8)]
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    assert max(medians) - min(medians) < 0.1 * max(medians)
    assert (await desk.confirm(member)).json() == {"state": "member"}
    assert (await desk.confirm(asked)).json() == {"state": "waiting"}
    assert len((await desk.ask("GET", "/access-requests")).json()["items"]) == 1


async def test_a_mailbox_is_not_flooded_and_nobody_sees_that(desk: Desk) -> None:
    email = await desk.request()
    for _ in range(5):
        await desk.request(email)
    assert len(await desk.house.mails(email)) == 3


async def test_a_house_behind_one_address_asks_without_waiting_and_a_flood_waits_ten_minutes_at_most(
    desk: Desk,
) -> None:
    while time.time() % links.WINDOW_S > links.WINDOW_S - 30:
        await asyncio.sleep(1)

    async def resets(first: int, last: int) -> Counter[int]:
        people = [{"email": f"{n}@clinic.example"} for n in range(first, last)]
        answers = await asyncio.gather(*(desk.knock("POST", "/auth/password-reset", json=one) for one in people))
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)
        return Counter(answer.status_code for answer in answers)

    assert await resets(0, 40) == {202: 40}
    assert await resets(40, 60) == {202: 10, 429: 10}
    await desk.request()  # that is another purpose
    await desk.house.sql("UPDATE throttle SET key = regexp_replace(key, '[0-9]+$', '0') WHERE key LIKE 'asking:%'")
    assert await resets(60, 70) == {202: 10}, "the next window begins anew"


async def test_a_mail_domain_that_is_not_allowed_is_told_plainly(desk: Desk) -> None:
    await desk.house.sql(
        "UPDATE facilities SET mail_domains = '[\"clinic.example\"]' WHERE id = :id", id=desk.facility.id
    )
    body = {"email": "a@elsewhere.example", "name": "A", "reason": "x"}
    answer = await desk.knock("POST", "/access-requests", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:codetect:problem:domain-not-allowed")
    assert "@clinic.example" in answer.json()["detail"]
    assert await desk.request("b@CLINIC.example")


async def test_links_run_out_and_what_ran_out_says_so(desk: Desk) -> None:
    unconfirmed, waiting = await desk.request(), await desk.request()
    await desk.confirm(waiting)
    id = (await desk.waiting(waiting))["id"]
    await desk.house.sql(
        "UPDATE access_requests SET expires_at = now() - interval '1 second' WHERE facility_id = :f",
        f=desk.facility.id,
    )
    assert (await desk.confirm(unconfirmed)).status_code == 410
    assert (await desk.ask("POST", f"/access-requests/{id}/approve", json={})).status_code == 409
    await sweep(desk.house.auth)
    listed = (await desk.ask("GET", "/access-requests?status=expired")).json()["items"]
    assert {item["email"] for item in listed} == {unconfirmed, waiting}
    assert [step["by_role"] for step in (await desk.steps())[:2]] == ["clock", "clock"]


async def test_whoever_came_to_nothing_is_forgotten_after_three_months(desk: Desk) -> None:
    email, kept = await desk.request("Nils.Nobody@clinic.example", name="Nils Nobody"), await desk.request()
    await desk.confirm(email)
    path = f"/access-requests/{(await desk.waiting(email))['id']}"
    await desk.ask("POST", f"{path}/reject", json={"reason": "no"})
    old = "UPDATE access_requests SET changed_at = now() - interval '{} days' WHERE facility_id = :f"
    for days, there in ((89, True), (91, False)):
        await desk.house.sql(old.format(days), f=desk.facility.id)
        await sweep(desk.house.auth)
        rows = await desk.house.sql("SELECT r::text FROM access_requests r WHERE facility_id = :f", f=desk.facility.id)
        assert any("nils" in str(row).casefold() for row in rows) == there
        assert any(kept in str(row) for row in rows)
    assert (await desk.ask("GET", "/access-requests?status=rejected")).json()["items"][0]["email"] == ""


async def test_a_second_request_changes_nothing_of_the_first_until_one_is_confirmed(desk: Desk) -> None:
    email = await desk.request(name="Nora")
    first = await desk.house.token(email, "confirm_address")
    await desk.request(email, name="Somebody Else")
    confirmed = await desk.knock("POST", "/access-requests/confirm", json={"token": first})
    assert confirmed.json() == {"state": "waiting"}
    assert (await desk.waiting(email))["name"] == "Nora"
    assert (await desk.confirm(email)).status_code == 410


async def test_admins_decide_for_their_own_facility_alone(desk: Desk) -> None:
    email = await desk.request()
    await desk.confirm(email)
    path = f"/access-requests/{(await desk.waiting(email))['id']}/approve"
    other = await desk_of(desk.house)
    assert (await other.ask("POST", path, json={})).status_code == 404
    assert (await other.ask("GET", "/access-requests")).json()["items"] == []
    for role in (Role.MEMBER, Role.VIEWER):
        colleague = await desk_of(desk.house, role, desk.facility)
        assert (await colleague.ask("POST", path, json={})).status_code == 403
        assert (await colleague.ask("GET", "/access-requests")).status_code == 403
    assert (await desk.ask("POST", path, json={})).status_code == 200


async def test_a_role_is_narrowed_never_widened(desk: Desk) -> None:
    email = await desk.request(role="viewer")
    await desk.confirm(email)
    path = f"/access-requests/{(await desk.waiting(email))['id']}/approve"
    assert (await desk.ask("POST", path, json={"role": "admin"})).status_code == 422
    assert (await desk.ask("POST", path, json={"role": "operator"})).status_code == 422
    assert (await desk.ask("POST", path, json={})).json()["role"] == "viewer"


async def test_nobody_asks_to_become_an_operator(house: House) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    body = {"email": "a@b.example", "name": "A", "reason": "x"}
    assert (await operator.knock("POST", "/access-requests", json=body)).status_code == 403


async def test_tokens_lie_hashed_and_steps_cannot_be_altered(desk: Desk) -> None:
    email = await desk.request()
    token = await desk.house.token(email, "confirm_address")
    [(row,)] = await desk.house.sql("SELECT r::text FROM access_requests r WHERE email = :e", e=email)
    assert token not in row
    for statement in ("UPDATE access_steps SET by_role = 'x'", "DELETE FROM access_steps"):
        with pytest.raises(Exception, match="kept as they were written"):
            await desk.house.sql(f"{statement} WHERE facility_id = :f", f=desk.facility.id)


async def test_a_link_of_another_facility_opens_nothing_and_guesses_get_slow(desk: Desk) -> None:
    email = await desk.request()
    token = await desk.house.token(email, "confirm_address")
    other = await desk_of(desk.house)
    assert (await other.knock("POST", "/access-requests/confirm", json={"token": token})).status_code == 410
    guesses = [await other.knock("POST", "/access-requests/confirm", json={"token": str(n)}) for n in range(60)]
    assert Counter(answer.status_code for answer in guesses) == {410: 49, 429: 11}
    assert (await desk.confirm(email)).status_code == 200


def test_every_state_is_in_the_table_of_moves() -> None:
    reached = {to for following in states.MOVES.values() for to in following}
    assert reached | {states.RequestState.UNCONFIRMED} == {*states.RequestState, *states.InvitationState}


async def test_nobody_has_a_name_or_token_in_the_log_of_events(desk: Desk) -> None:
    email = await desk.request()
    await desk.confirm(email)
    await desk.ask("POST", f"/access-requests/{(await desk.waiting(email))['id']}/approve", json={})
    await desk.accept(email)
    told = await desk.house.sql("SELECT type, data FROM outbox WHERE facility_id = :f", f=desk.facility.id)
    assert {row.type for row in told} >= {
        "codetect.request.confirmed.v1",
        "codetect.request.approved.v1",
        "codetect.invitation.sent.v1",
        "codetect.invitation.accepted.v1",
    }
    assert not any(word in str(told) for word in (email, "Nora", "I read CTs", PASSWORD))
