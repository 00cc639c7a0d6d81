"""What takes effect everywhere within a minute: ended logins, suspended people, changed rights, revoked programs."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from codetect_auth import revocations
from codetect_auth.app import sweep
from codetect_shared import tokens
from codetect_shared.tokens import JwksCache, Role, TokenInvalid

from tests.auth.conftest import Account, House

ME, MEMBERS = "/api/v1/auth/me", "/api/v1/members"


class Neighbour:
    """Another service: what it knows of auth it asked over HTTP; `wait` lets half a minute pass for it."""

    def __init__(self, house: House) -> None:
        self.now = 1000.0
        client = house.client("neighbour")
        self._cache = JwksCache.over_http(client, "http://auth", house.auth.settings.issuer, lambda: self.now)

    async def accepts(self, token: str) -> bool:
        try:
            await self._cache.verify(token)
        except TokenInvalid:
            return False
        return True

    def wait(self) -> None:
        self.now += tokens.FRESH_S


async def clinic(house: House) -> tuple[Account, str, Account, dict[str, Any]]:
    """An admin with a token, and a member of the same facility."""
    facility = await house.facility()
    admin, member = await house.account(Role.ADMIN, facility), await house.account(Role.MEMBER, facility)
    return admin, (await admin.enrol())["access_token"], member, await member.enrol()


async def change(house: House, admin: Account, token: str, who: Account, **body: Any) -> httpx.Response:
    return await admin.send("PATCH", f"{MEMBERS}/{await house.id_of(who)}", token, body)


async def told(house: House, type: str, person: str) -> list[dict[str, Any]]:
    rows = await house.sql(
        "SELECT data FROM outbox WHERE type = :type AND (data ->> 'person_id' = :id OR data ->> 'subject' = :id)"
        " ORDER BY id",
        type=type,
        id=person,
    )
    return [row.data for row in rows]


async def test_logging_out_ends_the_access_token_too(house: House) -> None:
    account = await house.account()
    issued, other = await account.enrol(), Neighbour(house)
    assert await other.accepts(issued["access_token"])
    await account.client.post("/api/v1/auth/logout", json={"refresh_token": issued["refresh_token"]})
    assert (await account.get(ME, issued["access_token"])).status_code == 401
    other.wait()
    assert not await other.accepts(issued["access_token"])
    session_id = json.loads(_claims(issued["access_token"]))["sid"]
    person_id = await house.id_of(account)
    assert await told(house, "codetect.session.ended.v1", person_id) == [
        {"session_id": session_id, "person_id": person_id}
    ]


def _claims(token: str) -> str:
    from tests.auth.authenticator import unb64

    return unb64(token.split(".")[1]).decode()


async def test_a_suspended_person_is_out_at_once_and_comes_back_only_by_logging_in(house: House) -> None:
    admin, token, member, mine = await clinic(house)
    other = Neighbour(house)
    assert await other.accepts(mine["access_token"])
    suspended = await change(house, admin, token, member, status="suspended")
    assert (suspended.status_code, suspended.json()["status"]) == (200, "suspended")
    assert (await member.get(ME, mine["access_token"])).status_code == 401
    assert (await member.refresh(mine["refresh_token"])).status_code == 401
    assert (await member.step_one()).status_code == 401
    other.wait()
    assert not await other.accepts(mine["access_token"])
    assert await other.accepts(token)

    assert (await change(house, admin, token, member, status="active")).json()["status"] == "active"
    assert (await member.refresh(mine["refresh_token"])).status_code == 401
    assert not await other.accepts(mine["access_token"])
    step = (await member.step_one()).json()["mfa_token"]
    again = (await member.step_two(step, member.code())).json()
    assert (await member.get(ME, again["access_token"])).status_code == 200
    other.wait()
    assert await other.accepts(again["access_token"])
    for type in ("codetect.person.suspended.v1", "codetect.person.reactivated.v1"):
        [each] = await told(house, type, await house.id_of(member))
        assert each["changed_by"] == await house.id_of(admin)


async def test_a_changed_right_refuses_the_tokens_from_before_and_the_refresh_at_once_works_everywhere(
    house: House,
) -> None:
    """Also within the same second: whatever is issued after a refusal is later than it."""
    admin, token, member, mine = await clinic(house)
    other = Neighbour(house)
    for rights in (["identity"], [], ["identity"]):
        assert (await change(house, admin, token, member, rights=rights)).status_code == 200
        assert (await member.get(ME, mine["access_token"])).status_code == 401
        before, mine = mine, (await member.refresh(mine["refresh_token"])).json()
        me = await member.get(ME, mine["access_token"])
        assert (me.status_code, me.json()["scopes"]) == (200, rights)
        other.wait()
        assert not await other.accepts(before["access_token"])
        assert await other.accepts(mine["access_token"])
    assert len(await told(house, "codetect.access.refused.v1", await house.id_of(member))) == 3


async def test_a_refresh_under_way_slips_past_no_suspension(house: House) -> None:
    """Whichever commits first: afterwards no token of the person's is good anywhere."""
    facility = await house.facility()
    admin = await house.account(Role.ADMIN, facility)
    token = (await admin.enrol())["access_token"]
    for _ in range(8):
        member = await house.account(Role.MEMBER, facility)
        mine = await member.enrol()
        refreshed, suspended = await asyncio.gather(
            member.refresh(mine["refresh_token"]), change(house, admin, token, member, status="suspended")
        )
        assert suspended.status_code == 200
        assert refreshed.status_code in (200, 401)
        issued = [mine] + ([refreshed.json()] if refreshed.status_code == 200 else [])
        for each in issued:
            assert (await member.get(ME, each["access_token"])).status_code == 401
            assert (await member.refresh(each["refresh_token"])).status_code == 401


async def test_a_revoked_api_client_is_out_and_so_are_those_of_a_suspended_owner(house: House) -> None:
    admin, token, _, _ = await clinic(house)
    facility = await house.auth.facility_of(admin.host)
    owner = await house.account(Role.ADMIN, facility)
    theirs = (await owner.enrol())["access_token"]
    made = [await admin.send("POST", "/api/v1/api-clients", each, {"name": "PACS"}) for each in (token, token, theirs)]
    grants = [{k: each.json()[k] for k in ("client_id", "client_secret")} for each in made]

    async def ask(grant: dict[str, str]) -> httpx.Response:
        return await admin.client.post("/oauth/token", data={"grant_type": "client_credentials"} | grant)

    access = [(await ask(grant)).json()["access_token"] for grant in grants]
    other = Neighbour(house)
    assert [await other.accepts(each) for each in access] == [True] * 3
    path = f"/api/v1/api-clients/{grants[0]['client_id']}"
    assert (await admin.send("DELETE", path, token)).status_code == 204
    assert (await change(house, admin, token, owner, status="suspended")).status_code == 200
    other.wait()
    assert [await other.accepts(each) for each in access] == [False, True, False]
    assert [(await admin.get(ME, each)).status_code for each in access] == [401, 200, 401]
    assert [(await ask(grant)).status_code for grant in grants] == [401, 200, 401]
    await change(house, admin, token, owner, status="active")
    again = await ask(grants[2])
    assert (await admin.get(ME, again.json()["access_token"])).status_code == 200


async def test_a_whole_facility_is_refused_and_no_other(house: House) -> None:
    admin, token, member, mine = await clinic(house)
    stranger = await house.account()
    theirs = (await stranger.enrol())["access_token"]
    facility = await house.auth.facility_of(admin.host)
    assert facility
    async with house.auth.db.facility(facility.id) as session:
        await revocations.refuse(session, facility.id)
    assert [(await member.get(ME, each)).status_code for each in (token, mine["access_token"])] == [401, 401]
    assert (await stranger.get(ME, theirs)).status_code == 200
    mine = (await member.refresh(mine["refresh_token"])).json()
    assert (await member.get(ME, mine["access_token"])).status_code == 200
    [event] = await house.sql(
        "SELECT data FROM outbox WHERE type = 'codetect.access.refused.v1' AND facility_id = :id", id=facility.id
    )
    assert event.data["subject"] is None


async def test_a_refusal_that_is_rolled_back_is_none(house: House) -> None:
    account = await house.account()
    token = (await account.enrol())["access_token"]
    facility = await house.auth.facility_of(account.host)
    assert facility
    with pytest.raises(ZeroDivisionError):
        async with house.auth.db.facility(facility.id) as session:
            await revocations.refuse(session, facility.id)
            raise ZeroDivisionError
    assert (await account.get(ME, token)).status_code == 200


async def test_the_last_admin_can_not_be_suspended(house: House) -> None:
    admin, token, member, _ = await clinic(house)
    refused = await change(house, admin, token, admin, status="suspended")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:codetect:problem:last-admin")
    assert (await change(house, admin, token, member, status="suspended")).status_code == 200
    facility = await house.auth.facility_of(admin.host)
    second = await house.account(Role.ADMIN, facility)
    assert (await change(house, admin, token, second, status="suspended")).status_code == 200
    assert (await change(house, admin, token, admin, status="suspended")).status_code == 409  # a suspended one is none
    assert (await admin.get(ME, token)).status_code == 200


async def test_of_two_admins_who_suspend_each_other_one_stays(house: House) -> None:
    for _ in range(5):
        facility = await house.facility()
        pair = [await house.account(Role.ADMIN, facility) for _ in range(2)]
        held = [(await each.enrol())["access_token"] for each in pair]
        answers = await asyncio.gather(
            change(house, pair[0], held[0], pair[1], status="suspended"),
            change(house, pair[1], held[1], pair[0], status="suspended"),
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])
        active = await house.sql("SELECT 1 FROM people WHERE facility_id = :id AND status = 'active'", id=facility.id)
        assert len(active) == 1


async def test_an_admin_ends_a_members_logins_and_nobody_elses(house: House) -> None:
    admin, token, member, mine = await clinic(house)
    path = f"{MEMBERS}/{await house.id_of(member)}/sessions"
    assert (await member.send("DELETE", path, mine["access_token"])).status_code == 403
    stranger = await house.account(Role.ADMIN)
    assert (await stranger.send("DELETE", path, (await stranger.enrol())["access_token"])).status_code == 404
    assert (await admin.send("DELETE", path, token)).status_code == 204
    assert (await member.get(ME, mine["access_token"])).status_code == 401
    assert (await member.refresh(mine["refresh_token"])).status_code == 401
    assert (await member.step_one()).status_code == 200


async def reset(house: House, by: Account, token: str, who: Account, **body: str) -> httpx.Response:
    return await by.send("POST", f"{MEMBERS}/{await house.id_of(who)}/reset-factors", token, body)


async def test_an_admin_resets_a_lost_factor_and_the_person_enrols_again(house: House) -> None:
    admin, token, member, mine = await clinic(house)
    begun = (await member.step_one()).json()["mfa_token"]
    codes = member.recovery_codes
    assert (await reset(house, admin, token, member)).status_code == 204
    assert (await member.get(ME, mine["access_token"])).status_code == 401
    assert (await member.refresh(mine["refresh_token"])).status_code == 401
    assert (await member.step_two(begun, member.code())).status_code == 401
    assert (await member.step_one()).json().keys() == {"enrolment_token"}
    again = await member.enrol()
    assert not set(again["recovery_codes"]) & set(codes)
    step = (await member.step_one()).json()["mfa_token"]
    assert (await member.step_two(step, codes[0], "recovery_code")).status_code == 401
    person_id = await house.id_of(member)
    assert await told(house, "codetect.person.factors_reset.v1", person_id) == [
        {"person_id": person_id, "by": await house.id_of(admin)}
    ]


async def test_a_factor_given_while_it_is_reset_lets_nobody_in_afterwards(house: House) -> None:
    for _ in range(5):
        admin, token, member, _ = await clinic(house)
        step = (await member.step_one()).json()["mfa_token"]
        done, ended = await asyncio.gather(member.step_two(step, member.code()), reset(house, admin, token, member))
        assert ended.status_code == 204
        assert done.status_code in (200, 401)
        if done.status_code == 200:
            assert (await member.get(ME, done.json()["access_token"])).status_code == 401
            assert (await member.refresh(done.json()["refresh_token"])).status_code == 401


async def test_only_an_admin_of_the_facility_resets_and_nobody_their_own(house: House) -> None:
    admin, token, member, mine = await clinic(house)
    assert (await reset(house, member, mine["access_token"], admin)).status_code == 403
    stranger = await house.account(Role.ADMIN)
    assert (await reset(house, stranger, (await stranger.enrol())["access_token"], member)).status_code == 404
    own = await reset(house, admin, token, admin)
    assert (own.status_code, own.json()["type"]) == (409, "urn:codetect:problem:not-yourself")
    assert (await member.step_one()).json().keys() == {"mfa_token", "methods"}


async def test_an_operator_helps_a_sole_admin_with_a_reason_and_nobody_else(house: House) -> None:
    admin, token, member, _ = await clinic(house)
    operator = await house.account(Role.OPERATOR)
    theirs = (await operator.enrol())["access_token"]
    assert (await reset(house, operator, theirs, member, reason="Asked on the phone.")).status_code == 404
    assert (await reset(house, operator, theirs, admin)).status_code == 422
    facility = await house.auth.facility_of(admin.host)
    second = await house.account(Role.ADMIN, facility)
    crowded = await reset(house, operator, theirs, admin, reason="Phone lost.")
    assert (crowded.status_code, crowded.json()["type"]) == (409, "urn:codetect:problem:not-the-sole-admin")
    assert (await change(house, admin, token, second, status="suspended")).status_code == 200
    assert (await reset(house, operator, theirs, admin, reason="Phone lost.")).status_code == 204
    assert (await admin.step_one()).json().keys() == {"enrolment_token"}
    person_id = await house.id_of(admin)
    [event] = await told(house, "codetect.person.factors_reset.v1", person_id)
    assert event["by"] == await house.id_of(operator)
    colleague = await house.account(Role.OPERATOR)
    assert (await reset(house, operator, theirs, colleague)).status_code == 204


async def test_the_list_for_the_services_is_small_and_forgets(house: House) -> None:
    account = await house.account()
    issued = await account.enrol()
    await account.client.post("/api/v1/auth/logout", json={"refresh_token": issued["refresh_token"]})
    answer = await account.client.get(tokens.TRUST_PATH)
    assert answer.json().keys() == {"keys", "refused"}
    assert account.email not in answer.text
    same = await account.client.get(tokens.TRUST_PATH, headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    await house.sql(f"UPDATE refusals SET since = since - {revocations.KEPT_S}")
    assert (await account.client.get(tokens.TRUST_PATH)).json()["refused"] == []
    await house.sql("UPDATE refusals SET since = since - 1")
    await sweep(house.auth)
    assert await house.sql("SELECT 1 FROM refusals") == []


async def test_a_burst_of_refusals_keeps_its_order(house: House) -> None:
    """Each is later than what was issued before it, each token later than the refusals before it."""
    account = await house.account()
    issued = await account.enrol()
    facility = await house.auth.facility_of(account.host)
    assert facility
    started = time.monotonic()
    for _ in range(4):
        async with house.auth.db.facility(facility.id) as session:
            await revocations.refuse(session, facility.id)
        before, issued = issued, (await account.refresh(issued["refresh_token"])).json()
        assert (await account.get(ME, before["access_token"])).status_code == 401
        assert (await account.get(ME, issued["access_token"])).status_code == 200
    assert time.monotonic() - started < 4
