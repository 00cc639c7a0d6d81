"""Operators open, change and suspend facilities; the checklist says what is lacking; admins see what operators did."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from codetect_auth import facilities
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisCompleted, Event, SettingsChanged
from codetect_shared.tokens import Role

from tests.auth.access.conftest import Desk, desk_of
from tests.auth.conftest import House, Shell


def opening(**rest: Any) -> dict[str, Any]:
    return {"slug": f"f-{secrets.token_hex(6)}", "name": "New Hospital"} | rest


async def hear(house: House, facility_id: Any, event: Event, sequence: int = 1) -> None:
    """Apply an event as the consumer does."""
    data, now = event.model_dump(mode="json"), datetime.now(UTC)
    envelope = Envelope(uuid7(), event.type, now, facility_id, "x/y", sequence, data)
    handler = facilities.handlers()[type(event)]
    async with house.auth.db.facility(facility_id) as session:
        await handler(session, event, envelope)


def analysed() -> AnalysisCompleted:
    ids = {name: uuid7() for name in ("analysis_id", "study_id", "upload_id")}
    times = dict.fromkeys(("queued_ms", "inference_ms", "total_ms", "slices_total", "slices_analysed"), 1)
    return AnalysisCompleted(**ids, **times, model="m", model_version="1", findings=[], provider="cpu")


async def test_a_facility_is_opened_with_its_first_admin_who_comes_in(house: House) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    email = f"{secrets.token_hex(6)}@new.example"
    wish = opening(
        mail_domains=["@New.example"],
        retention_days=365,
        profile="forget",
        first_admin={"email": email, "name": "Ada Admin"},
    )
    opened = await operator.ask("POST", "/facilities", json=wish)
    assert (opened.status_code, opened.json()["mail_domains"]) == (201, ["new.example"])
    [told] = await house.sql(
        "SELECT data FROM outbox WHERE facility_id = :f AND type = 'codetect.facility.opened.v1'", f=opened.json()["id"]
    )
    assert (told.data["retention_days"], told.data["profile"]) == (365, "forget")
    assert (await house.mails(email, "invitation"))[0]["invited_by"] == "an operator"
    there = Desk(house, operator.facility, house.account_at(wish["slug"], email), "")
    assert (await there.accept(email)).status_code == 200
    tokens = await there.account_of(email).enrol()
    there.access_token = tokens["access_token"]
    assert (await there.ask("GET", "/auth/me")).json()["role"] == "admin"
    assert [step["step"] for step in await there.steps(by_role="operator")] == ["open", "opened"]


async def test_what_goes_wrong_with_the_first_admin_opens_nothing(house: House) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    wish = opening(mail_domains=["new.example"], first_admin={"email": "a@old.example", "name": "A"})
    assert (await operator.ask("POST", "/facilities", json=wish)).status_code == 422
    assert await house.sql("SELECT 1 FROM facilities WHERE slug = :s", s=wish["slug"]) == []
    for domains in (["no domain"], ["a"], ["x.example"] * 51, [".example"]):
        assert (await operator.ask("POST", "/facilities", json=opening(mail_domains=domains))).status_code == 422


async def test_a_suspended_facility_works_no_more_until_it_is_back(house: House) -> None:
    operator, desk = await desk_of(house, Role.OPERATOR), await desk_of(house)
    path = f"/facilities/{desk.facility.id}"
    client = (await desk.ask("POST", "/api-clients", json={"name": "PACS"})).json()
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")}
    mfa = (await desk.account.step_one()).json()["mfa_token"]
    issued = (await desk.account.step_two(mfa, desk.account.code())).json()
    email = await desk.request()
    suspended = await operator.ask("PATCH", path, json={"status": "suspended", "reason": "unpaid"})
    assert suspended.json()["status"] == "suspended"
    assert (await desk.knock("GET", "/facility")).status_code == 404
    assert (await desk.account.step_one()).status_code == 401
    assert (await desk.account.refresh(issued["refresh_token"])).status_code == 401
    assert (await desk.client.post("/oauth/token", data=form)).status_code == 401
    assert (await desk.confirm(email)).status_code == 404
    assert (await operator.ask("PATCH", path, json={"status": "active"})).json()["status"] == "active"
    assert (await desk.ask("GET", "/auth/me")).status_code == 401  # from before the suspension
    refreshed = await desk.account.refresh(issued["refresh_token"])
    assert refreshed.status_code == 200
    desk.access_token = refreshed.json()["access_token"]
    assert (await desk.client.post("/oauth/token", data=form)).status_code == 200
    told = await house.sql("SELECT type FROM outbox WHERE facility_id = :f ORDER BY id", f=desk.facility.id)
    kinds = [row.type for row in told if row.type.startswith("codetect.facility.")]
    assert kinds == [f"codetect.facility.{past}.v1" for past in ("opened", "suspended", "reactivated")]
    steps = await desk.steps(by_role="operator")
    assert [(step["step"], step["reason"]) for step in steps] == [("reactivated", None), ("suspended", "unpaid")]


async def test_an_operator_proves_again_before_changing_facilities_and_terms(house: House) -> None:
    operator, desk = await desk_of(house, Role.OPERATOR), await desk_of(house)
    mfa = (await operator.account.step_one()).json()["mfa_token"]
    issued = (await operator.account.step_two(mfa, operator.account.code())).json()
    operator.access_token = (await house.stale(operator.account, issued["refresh_token"]))["access_token"]
    stranger = {"email": f"{secrets.token_hex(6)}@evil.example", "name": "Eve"}
    wish = opening(first_admin=stranger)
    dangerous = (
        ("PATCH", f"/facilities/{desk.facility.id}", {"name": "X"}),
        ("POST", "/terms", {"text": "Be good."}),
        ("POST", "/facilities", wish),
        ("POST", f"/facilities/{desk.facility.id}/invitations", stranger),
    )
    for method, path, body in dangerous:
        refused = await operator.ask(method, path, json=body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:codetect:problem:step-up-required"), path
    assert (await operator.ask("GET", f"/facilities/{desk.facility.id}")).json()["name"] != "X"
    assert await house.mails(stranger["email"]) == []
    assert await house.sql("SELECT 1 FROM facilities WHERE slug = :s", s=wish["slug"]) == []
    proof = {"method": "recovery_code", "code": operator.account.recovery_codes[0]}
    operator.access_token = (await operator.ask("POST", "/auth/step-up", json=proof)).json()["access_token"]
    assert (await operator.ask("PATCH", f"/facilities/{desk.facility.id}", json={"name": "X"})).json()["name"] == "X"


async def test_the_operators_own_facility_stays(house: House) -> None:
    operator = await desk_of(house, Role.OPERATOR)
    answer = await operator.ask("PATCH", f"/facilities/{operator.facility.id}", json={"status": "suspended"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:operators-stay")


async def test_a_facility_is_renamed_and_gets_other_mail_domains(house: House) -> None:
    operator, desk = await desk_of(house, Role.OPERATOR), await desk_of(house)
    path = f"/facilities/{desk.facility.id}"
    changed = await operator.ask("PATCH", path, json={"name": "St. Elsewhere", "mail_domains": ["b.example"]})
    assert (changed.json()["name"], changed.json()["mail_domains"]) == ("St. Elsewhere", ["b.example"])
    assert (await operator.ask("GET", path)).json() == changed.json()
    assert {step["step"] for step in await desk.steps(by_role="operator")} == {"renamed", "mail domains"}
    for body in ({}, {"reason": "none"}, {"slug": "x"}, {"status": "removed"}, {"name": None}):
        assert (await operator.ask("PATCH", path, json=body)).status_code == 422
    assert (await operator.ask("PATCH", f"/facilities/{uuid7()}", json={"name": "x"})).status_code == 404


async def test_the_checklist_tells_what_is_known_and_no_more(house: House) -> None:
    operator, desk = await desk_of(house, Role.OPERATOR), await desk_of(house)
    path, id = f"/facilities/{desk.facility.id}", desk.facility.id

    async def done() -> set[str]:
        mine = (await desk.ask("GET", "/facility/checklist")).json()
        assert mine == (await operator.ask("GET", f"{path}/checklist")).json()
        assert mine["ready"] == all(item["done"] for item in mine["items"])
        return {item["name"] for item in mine["items"] if item["done"]}

    assert await done() == {"admin_logged_in"}
    await house.account(Role.ADMIN, desk.facility)
    await desk.confirm(await desk.request())
    assert await done() == {"admin_logged_in", "second_admin", "mail_works"}
    await operator.ask("PATCH", path, json={"mail_domains": ["clinic.example"]})
    await hear(house, id, SettingsChanged(facility_id=id, retention_days=90, profile="seal"), 2)
    await hear(house, id, SettingsChanged(facility_id=id, retention_days=None, profile="seal"), 1)
    await hear(house, id, analysed())
    assert len(await done()) == 6
    await hear(house, id, SettingsChanged(facility_id=id, retention_days=None, profile="seal"), 3)
    assert "retention_set" not in await done()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.MEMBER, Role.VIEWER])
async def test_nobody_but_operators_sees_or_changes_facilities(house: House, role: Role) -> None:
    desk = await desk_of(house, role)
    path = f"/facilities/{desk.facility.id}"
    for method, where in (
        ("GET", path),
        ("GET", f"{path}/checklist"),
        ("PATCH", path),
        ("POST", f"{path}/invitations"),
    ):
        assert (await desk.ask(method, where, json={})).status_code == 403
    if role is not Role.ADMIN:
        assert (await desk.ask("GET", "/facility/checklist")).status_code == 403
        assert (await desk.ask("GET", "/access-steps")).status_code == 403


async def test_the_same_by_commands(house: House, shell: Shell) -> None:
    slug, email = f"f-{secrets.token_hex(6)}", f"{secrets.token_hex(6)}@cli.example"
    named = ("--facility", slug)
    opened = ("create-facility", "--slug", slug, "--name", "By Command", "--mail-domain", "cli.example")
    assert (await shell(*opened, "--first-admin", email, "Ada", "--retention-days", "30"))[0] == 0
    account = house.account_at(slug, email)
    found = await house.auth.facility_of(f"{slug}.localhost")
    assert found
    desk = Desk(house, found, account, "")
    assert (await desk.accept(email, account.password)).status_code == 200
    desk.access_token = (await account.enrol())["access_token"]

    assert (await shell("checklist", *named))[1]["admin_logged_in"] == "done"
    new = f"{secrets.token_hex(6)}@cli.example"
    await desk.request(new)
    await desk.confirm(new)
    _, asked, _ = await shell("access-requests", *named)
    [(id, said)] = asked.items()
    assert new in said
    assert (await shell("approve", *named, id, "--role", "viewer"))[1]["role"] == "viewer"
    assert (await shell("reject", *named, id, "--reason", "late"))[0] == 1
    assert (await shell("invite", *named, "--email", f"x-{email}", "--name", "X"))[1] == {f"x-{email}": "invited"}
    assert (await desk.accept(new)).status_code == 200
    assert (await shell("change-person", *named, "--email", new, "--role", "member"))[1]["role"] == "member"
    code, _, err = await shell("remove-person", *named, "--email", email)
    assert (code, err) == (1, "This is the last active admin; make somebody else an admin first.\n")
    assert (await shell("remove-person", *named, "--email", new))[0] == 0
    assert (await shell("suspend-facility", *named, "--reason", "test"))[1]["status"] == "suspended"
    assert (await desk.knock("GET", "/facility")).status_code == 404
    assert (await shell("reactivate-facility", *named))[1]["status"] == "active"
    assert (await shell("change-facility", *named, "--name", "Renamed", "--mail-domain", ""))[1]["mail_domains"] == []
    assert (await shell("change-facility", *named))[0] == 1
    _, client, _ = await shell("create-api-client", *named, "--name", "PACS")
    _, rotated, _ = await shell("rotate-api-client", *named, "--client-id", client["client_id"])
    assert rotated["client_secret"] != client["client_secret"]
    mfa = (await desk.account.step_one()).json()["mfa_token"]
    desk.access_token = (await desk.account.step_two(mfa, desk.account.code())).json()["access_token"]
    assert {step["by_role"] for step in await desk.steps(by_role="command")} == {"command"}
    before = (await desk.knock("GET", "/terms")).json()["version"]
    assert (await shell("publish-terms", password="Be good."))[1]["version"] == before + 1


async def test_consumers_hear_what_others_tell(house: House) -> None:
    """Through the broker: the queue is bound, and the process reads it."""
    from codetect_shared import bus, topology

    facility = await house.facility()
    event = SettingsChanged(facility_id=facility.id, retention_days=12, profile="forget")
    data, now = event.model_dump(mode="json"), datetime.now(UTC)
    envelope = Envelope(uuid7(), event.type, now, facility.id, f"settings/{facility.id}", 1, data)
    async with bus.connect(house.auth.settings.rabbitmq_url, "test") as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await topology.declare(channel)
        await bus.publish_all(channel, exchange, [(None, event.type, bus.encode(envelope, "ingest"))])
    for _ in range(200):
        [row] = await house.sql("SELECT retention_days, profile FROM facilities WHERE id = :id", id=facility.id)
        if row.retention_days == 12:
            break
        await asyncio.sleep(0.05)
    assert (row.retention_days, row.profile) == (12, "forget")
