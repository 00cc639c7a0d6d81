"""Admins change, suspend and remove their people; one active admin always stays."""

import asyncio
from collections import Counter
from typing import Any

from codetect_auth.mails import undeliverable
from codetect_auth.models import Base
from codetect_shared import tokens
from codetect_shared.db import uuid7
from codetect_shared.tokens import Role

from tests.auth.access.conftest import Desk, desk_of
from tests.auth.conftest import House


async def id_of(desk: Desk) -> str:
    return str((await desk.ask("GET", "/auth/me")).json()["id"])


async def two_admins(house: House) -> tuple[Desk, Desk]:
    one = await desk_of(house)
    return one, await desk_of(house, Role.ADMIN, one.facility)


async def active_admins(desk: Desk) -> int:
    [(count,)] = await desk.house.sql(
        "SELECT count(*) FROM people WHERE facility_id = :f AND role = 'admin' AND status = 'active'",
        f=desk.facility.id,
    )
    return int(count)


async def test_the_last_admin_can_be_neither_demoted_nor_suspended_nor_removed(house: House) -> None:
    desk = await desk_of(house)
    path = f"/members/{await id_of(desk)}"
    for method, body in (("PATCH", {"role": "member"}), ("PATCH", {"status": "suspended"}), ("DELETE", None)):
        refused = await desk.ask(method, path, json=body)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:codetect:problem:last-admin")
    assert await active_admins(desk) == 1


async def test_of_two_admins_who_demote_suspend_or_remove_each_other_at_once_one_stays(house: House) -> None:
    ways: list[tuple[str, Any]] = [("PATCH", {"role": "member"}), ("PATCH", {"status": "suspended"}), ("DELETE", None)]
    for method, body in ways:
        one, other = await two_admins(house)
        their = [f"/members/{await id_of(other)}", f"/members/{await id_of(one)}"]
        answers = await asyncio.gather(
            *(desk.ask(method, path, json=body) for desk, path in zip((one, other), their, strict=True))
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 409], [204, 409])
        assert await active_admins(one) == 1


async def test_ten_admins_who_all_step_down_at_once_leave_one(house: House) -> None:
    first = await desk_of(house)
    desks = [first, *[await desk_of(house, Role.ADMIN, first.facility) for _ in range(4)]]
    ids = [await id_of(desk) for desk in desks]
    answers = await asyncio.gather(
        *(desk.ask("PATCH", f"/members/{id}", json={"role": "viewer"}) for desk, id in zip(desks, ids, strict=True))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 4, 409: 1}
    assert await active_admins(first) == 1


async def test_another_role_comes_with_the_next_refresh_and_is_told(house: House) -> None:
    desk, other = await two_admins(house)
    mfa = (await other.account.step_one()).json()["mfa_token"]
    issued = (await other.account.step_two(mfa, other.account.code())).json()
    id = await id_of(other)
    changed = await desk.ask("PATCH", f"/members/{id}", json={"role": "viewer", "rights": ["identity"]})
    assert (changed.json()["role"], changed.json()["rights"]) == ("viewer", ["identity"])
    renewed = (await other.account.refresh(issued["refresh_token"])).json()["access_token"]
    keys = tokens.parse_jwks(await house.auth.keys.jwks())
    assert tokens.verify(renewed, keys, issuer=house.auth.settings.issuer).role is Role.VIEWER
    mails = await house.mails(other.account.email, "member_changed")
    assert sorted((mail["what"], mail["by"]) for mail in mails) == [("rights", "Test Person"), ("role", "Test Person")]
    steps = await desk.steps(about_id=id)
    assert {(step["step"], step["was"], step["now"]) for step in steps} == {
        ("role", "admin", "viewer"),
        ("rights", "", "identity"),
    }


async def test_who_is_suspended_is_out_with_their_programs_and_back_in_later(house: House) -> None:
    desk, other = await two_admins(house)
    path = f"/members/{await id_of(other)}"
    client = (await other.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")}
    mfa = (await other.account.step_one()).json()["mfa_token"]
    issued = (await other.account.step_two(mfa, other.account.code())).json()
    assert (await desk.ask("PATCH", path, json={"status": "suspended"})).json()["status"] == "suspended"
    assert (await other.account.step_one()).status_code == 401
    assert (await other.account.refresh(issued["refresh_token"])).status_code == 401
    assert (await other.client.post("/oauth/token", data=form)).status_code == 401
    assert (await desk.ask("PATCH", path, json={"status": "active"})).status_code == 200
    assert (await other.account.refresh(issued["refresh_token"])).status_code == 401  # that login has ended
    assert (await other.account.step_one()).status_code == 200
    assert (await other.client.post("/oauth/token", data=form)).status_code == 200
    told = await house.sql("SELECT type FROM outbox WHERE facility_id = :f ORDER BY id", f=desk.facility.id)
    kinds = [row.type.split(".")[2] for row in told if row.type.startswith("codetect.person.")]
    assert [kind for kind in kinds if kind in ("suspended", "reactivated")] == ["suspended", "reactivated"]


async def test_who_is_removed_leaves_an_id_and_nothing_else(house: House) -> None:
    desk, id = await desk_of(house), ""
    email = await desk.request("Gone.Away@clinic.example", name="Gerda Gone")
    await desk.confirm(email)
    await desk.ask("POST", f"/access-requests/{(await desk.waiting(email))['id']}/approve", json={})
    await desk.accept(email)
    account = desk.account_of(email)
    issued = await account.enrol()
    gone = Desk(house, desk.facility, account, issued["access_token"])
    id = await id_of(gone)
    await house.sql("UPDATE people SET role = 'admin' WHERE id = :id", id=id)
    gone.access_token = (await account.refresh(issued["refresh_token"])).json()["access_token"]
    await gone.ask("POST", "/invitations", json={"email": "colleague@clinic.example", "name": "Carl"})
    await account.client.post("/api/v1/auth/password-reset", json={"email": email})
    assert (await desk.ask("DELETE", f"/members/{id}")).status_code == 204
    assert (await desk.ask("DELETE", f"/members/{id}")).status_code == 404
    assert (await desk.ask("PATCH", f"/members/{id}", json={"status": "active"})).status_code == 404
    assert (await account.step_one()).status_code == 401
    assert (await account.refresh(issued["refresh_token"])).status_code == 401
    assert id not in [item["id"] for item in (await desk.ask("GET", "/members")).json()["items"]]
    for table in Base.metadata.sorted_tables:
        if "facility_id" in table.columns and table.name != "mails":
            rows = await house.sql(f"SELECT r::text FROM {table.name} r WHERE facility_id = :f", f=desk.facility.id)
            assert not any("gone.away" in str(row).casefold() or "Gerda" in str(row) for row in rows), table.name
    assert [row.status for row in await house.sql("SELECT status FROM people WHERE id = :id", id=id)] == ["removed"]
    assert (await house.mails(email, "member_changed"))[-1]["what"] == "removed"
    assert (await desk.steps(about_id=id))[0]["step"] == "removed"
    # The address may ask again, as somebody new.
    await house.sql("DELETE FROM throttle")
    assert (await desk.confirm(await desk.request("Gone.Away@clinic.example"))).json() == {"state": "waiting"}


async def test_an_api_clients_secret_is_replaced_without_a_gap(house: House) -> None:
    desk = await desk_of(house)
    client = (await desk.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    path = f"/api-clients/{client['client_id']}"

    async def works(secret: str) -> bool:
        form = {"grant_type": "client_credentials", "client_id": client["client_id"], "client_secret": secret}
        return (await desk.client.post("/oauth/token", data=form)).status_code == 200

    rotated = await desk.ask("POST", f"{path}/rotate", json={"grace_hours": 1})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (200, "no-store")
    second = rotated.json()["client_secret"]
    assert (await works(client["client_secret"]), await works(second)) == (True, True)
    await house.sql("UPDATE api_clients SET previous_until = now() WHERE id = :id", id=client["client_id"])
    assert (await works(client["client_secret"]), await works(second)) == (False, True)
    third = (await desk.ask("POST", f"{path}/rotate", json={"grace_hours": 0})).json()["client_secret"]
    assert (await works(second), await works(third)) == (False, True)
    assert (await desk.ask("POST", f"{path}/rotate", json={"grace_hours": 25})).status_code == 422
    assert (await desk.ask("POST", f"{path}/rotate")).status_code == 200
    assert (await (await desk_of(house)).ask("POST", f"{path}/rotate")).status_code == 404
    [listed] = (await desk.ask("GET", "/api-clients")).json()["items"]
    assert (listed["owner_id"], "client_secret" in listed) == (await id_of(desk), False)


async def test_a_leaked_secrets_tokens_end_with_it_unless_it_has_grace(house: House) -> None:
    desk = await desk_of(house)
    client = (await desk.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")}
    for grace_h, stays in (1, True), (0, False):
        token = (await desk.client.post("/oauth/token", data=form)).json()["access_token"]
        path = f"/api-clients/{client['client_id']}/rotate"
        form["client_secret"] = (await desk.ask("POST", path, json={"grace_hours": grace_h})).json()["client_secret"]
        assert ((await desk.account.get("/api/v1/auth/me", token)).status_code == 200) == stays
    token = (await desk.client.post("/oauth/token", data=form)).json()["access_token"]
    assert (await desk.account.get("/api/v1/auth/me", token)).status_code == 200, "the new secret's tokens are good"


async def test_an_api_client_lasts_a_year_and_its_owner_is_warned_once(house: House) -> None:
    from codetect_auth.app import sweep

    desk = await desk_of(house)
    client = (await desk.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    [(days,)] = await house.sql(
        "SELECT extract(day FROM expires_at - created_at) FROM api_clients WHERE id = :id", id=client["client_id"]
    )
    assert 364 <= days <= 366
    await sweep(house.auth)
    mails = [mail["what"] for mail in await house.mails(desk.account.email, "api_client_changed")]
    assert mails == ["created"]
    await house.sql(
        "UPDATE api_clients SET expires_at = now() + interval '13 days' WHERE id = :id", id=client["client_id"]
    )
    for _ in range(2):
        await sweep(house.auth)
    mails = [mail["what"] for mail in await house.mails(desk.account.email, "api_client_changed")]
    assert mails == ["created", "expires soon"]


async def test_an_api_client_goes_on_with_another_owner_and_ends_with_its_own(house: House) -> None:
    desk, other = await two_admins(house)
    made = [(await other.ask("POST", "/api-clients", json={"name": name})).json() for name in ("kept", "lost")]
    path = f"/api-clients/{made[0]['client_id']}"
    assert (await desk.ask("PATCH", path, json={"owner_id": await id_of(desk)})).status_code == 200
    stranger = await id_of(await desk_of(house))
    assert (await desk.ask("PATCH", path, json={"owner_id": stranger})).status_code == 422
    assert (await desk.ask("DELETE", f"/members/{await id_of(other)}")).status_code == 204
    names = [item["name"] for item in (await desk.ask("GET", "/api-clients")).json()["items"]]
    assert names == ["kept"]


async def test_an_api_client_does_no_more_than_its_owner_may(house: House) -> None:
    desk, other = await two_admins(house)
    scopes = ["read", "write", "identity"]
    client = (await other.ask("POST", "/api-clients", json={"name": "mine", "scopes": scopes})).json()
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")}
    first, second = await id_of(desk), await id_of(other)
    path, owner = f"/api-clients/{client['client_id']}", f"/members/{second}"
    issued: list[str] = []

    async def granted(**more: str) -> str:
        answer = await other.client.post("/oauth/token", data=form | more)
        issued.extend([answer.json()["access_token"]] if answer.status_code == 200 else [])
        return str(answer.json().get("scope") or answer.json()["error"])

    async def newest_works() -> bool:
        return (await other.account.get("/api/v1/auth/me", issued[-1])).status_code == 200

    steps: list[tuple[str, dict[str, Any], str, bool]] = [
        (owner, {"rights": ["identity"]}, "identity read write", True),
        (owner, {"role": "member"}, "identity read write", True),
        (owner, {"rights": []}, "read write", False),
        (owner, {"role": "viewer"}, "read", False),
        (path, {"owner_id": first}, "identity read write", True),
        (path, {"owner_id": second}, "read", False),
    ]
    assert await granted() == "identity read write"
    for where, body, after, token_stays in steps:
        assert (await desk.ask("PATCH", where, json=body)).status_code == 200
        assert await newest_works() == token_stays, body
        assert await granted() == after, body
        assert await newest_works(), body
    assert await granted(scope="read identity") == "invalid_scope"
    writing = (await desk.ask("POST", "/api-clients", json={"name": "writes", "scopes": ["write"]})).json()
    await desk.ask("PATCH", f"/api-clients/{writing['client_id']}", json={"owner_id": second})
    form |= {k: writing[k] for k in ("client_id", "client_secret")}
    assert await granted() == "invalid_scope"


async def test_who_is_removed_is_forgotten_among_the_addresses_without_a_mailbox(house: House) -> None:
    desk, other = await two_admins(house)
    stays = "stays@clinic.example"
    for email in (other.account.email, stays):
        async with house.auth.db.facility(desk.facility.id) as session:
            await undeliverable.mark(session, house.auth.settings.master_key, desk.facility.id, email, "gone", uuid7())
    assert (await desk.ask("DELETE", f"/members/{await id_of(other)}")).status_code == 204
    listed = (await desk.ask("GET", "/undeliverable-addresses")).json()["items"]
    assert [item["address"] for item in listed] == [stays]
    assert not await house.mails(other.account.email, "member_changed"), "it would come back, and be entered again"


async def test_what_an_admin_or_operator_typed_as_a_reason_is_in_no_audit_row(house: House) -> None:
    desk, other = await two_admins(house)
    reason, operator = "Mira Meier rang", await desk_of(house, Role.OPERATOR)
    path = f"/members/{await id_of(other)}/reset-factors"
    assert (await desk.ask("POST", path, json={"reason": reason})).status_code == 204
    path = f"/facilities/{desk.facility.id}"
    for body in ({"name": "New Name"}, {"status": "suspended"}, {"status": "active"}):
        assert (await operator.ask("PATCH", path, json=body | {"reason": reason})).status_code == 200
    rows = await house.sql("SELECT action, detail::text FROM audit WHERE facility_id = :f", f=desk.facility.id)
    actions = {"factor.reset", "facility.change", "facility.suspend", "facility.reactivate"}
    assert actions <= {row.action for row in rows}
    assert not [row for row in rows if reason in (row.detail or "")]
    kept = await house.sql("SELECT reason FROM access_steps WHERE facility_id = :f", f=desk.facility.id)
    assert [row.reason for row in kept].count(reason) == 4
