"""What auth records, and how admins see and export what all services did."""

import asyncio
import csv
import io
import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from codetect_shared.tokens import Role
from fhir.resources.R4B.auditevent import AuditEvent

from tests.audit import without_audit
from tests.auth.conftest import Account, House, Shell
from tests.auth.test_trail import settled

EVENTS = "/api/v1/audit-events"


async def headers_of(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await account.enrol())['access_token']}"}


async def rows(house: House, account: Account) -> list[Any]:
    """What was recorded in an account's facility, in order."""
    found = await house.sql(
        "SELECT a.* FROM audit a JOIN facilities f ON f.id = a.facility_id WHERE f.slug = :slug ORDER BY sequence",
        slug=account.host.split(".")[0],
    )
    assert [row.sequence for row in found] == list(range(1, len(found) + 1))
    return found


async def facility_id(house: House, account: Account) -> UUID:
    facility = await house.auth.facility_of(account.host)
    assert facility
    return facility.id


async def test_the_way_in_and_out_is_recorded_with_who_when_and_from_where(house: House) -> None:
    account = await house.account()
    wrong = Account(account.client, account.email, "not the password")
    for _ in range(3):
        await wrong.step_one()
    await Account(account.client, "nobody@clinic.example", "my dog's name is Rex").step_one()
    tokens = await account.enrol()
    step = (await account.step_one()).json()["mfa_token"]
    await account.step_two(step, "000000", **{"X-Request-Id": "abc-1"})
    again = (await account.step_two(step, account.code())).json()
    await account.client.post("/api/v1/auth/logout", json={"refresh_token": again["refresh_token"]})
    await account.client.delete("/api/v1/auth/sessions", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    found = await rows(house, account)
    person = next(row.target for row in found if row.action == "person.add")
    said = [(row.action, row.outcome, row.subject, row.target) for row in found if row.subject != "command"]
    mine = person.removeprefix("person/")
    login = [row for row in found if row.action == "login"]
    sessions = [row.target for row in login]
    assert said == [
        ("login.password", "refused", "anonymous", person),
        ("login.password", "refused", "anonymous", None),
        ("factor.add", "success", mine, person),
        ("login", "success", mine, sessions[0]),
        ("login.factor", "refused", "anonymous", person),
        ("login", "success", mine, sessions[1]),
        ("logout", "success", mine, sessions[1]),
        ("session.end", "success", mine, sessions[0]),
    ]
    assert [f"session/{row.session_id}" for row in login] == sessions
    address = account.client.headers["x-forwarded-for"]
    assert {row.address for row in found if row.subject != "command"} == {address}
    assert next(row for row in found if row.action == "login.factor").request_id == "abc-1"
    assert account.email not in str(found)
    assert "Rex" not in str(found)


async def test_logins_that_an_admin_ends_were_ended_by_the_admin(house: House, shell: Shell) -> None:
    admin = await house.account(Role.ADMIN)
    facility = await house.auth.facility_of(admin.host)
    headers = await headers_of(admin)
    me = (await admin.client.get("/api/v1/auth/me", headers=headers)).json()["id"]
    ends = []
    for how in ("suspend", "command"):
        member = await house.account(Role.MEMBER, facility)
        tokens = await member.enrol()
        mine = {"Authorization": f"Bearer {tokens['access_token']}"}
        them = (await member.client.get("/api/v1/auth/me", headers=mine)).json()["id"]
        if how == "suspend":
            body = {"status": "suspended"}
            answer = await admin.client.patch(f"/api/v1/members/{them}", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
        else:
            where = ("--facility", str(facility and facility.slug), "--email", member.email)
            assert (await shell("change-person", *where, "--status", "suspended"))[0] == 0
        ends += [row.subject for row in await rows(house, admin) if row.action == "session.end"][len(ends) :]
    assert ends == [me, "command"]


async def test_a_lock_is_recorded_once_a_minute_however_often_it_is_tried(house: House) -> None:
    account = await house.account()
    wrong = Account(account.client, account.email, "guess" * 4)
    answers = [(await wrong.step_one()).status_code for _ in range(12)]
    assert answers.count(429) > 3
    actions = [row.action for row in await rows(house, account)]
    assert actions.count("login.locked") == actions.count("login.password") == 1


async def test_changes_of_people_and_programs_name_the_admin(house: House) -> None:
    admin = await house.account(Role.ADMIN)
    member = await house.account(Role.MEMBER, await house.auth.facility_of(admin.host))
    headers = await headers_of(admin)
    [_, them] = (await admin.client.get("/api/v1/members", headers=headers)).json()["items"]
    body = {"rights": ["identity"]}
    await admin.client.patch(f"/api/v1/members/{them['id']}", json=body, headers=headers)
    await admin.client.patch(f"/api/v1/members/{them['id']}", json=body, headers=headers)
    made = await admin.client.post("/api/v1/api-clients", json={"name": "PACS", "scopes": ["read"]}, headers=headers)
    client_id = made.json()["client_id"]
    form = {"grant_type": "client_credentials", "client_id": client_id}
    await admin.client.post("/oauth/token", data=form | {"client_secret": "guess"})
    await admin.client.post("/oauth/token", data=form | {"client_secret": made.json()["client_secret"]})
    await admin.client.delete(f"/api/v1/api-clients/{client_id}", headers=headers)
    me = (await admin.client.get("/api/v1/auth/me", headers=headers)).json()["id"]
    client = f"client/{client_id}"
    found = [
        (row.action, row.outcome, row.subject, row.role, row.target, row.detail)
        for row in await rows(house, member)
        if row.action.startswith(("person.rights", "client."))
    ]
    refused = {"why": "The client id or the client secret is wrong."}
    assert found == [
        ("person.rights", "success", me, "admin", f"person/{them['id']}", {"before": [], "after": ["identity"]}),
        ("client.create", "success", me, "admin", client, {"scopes": ["read"]}),
        ("client.token", "refused", "anonymous", "anonymous", None, refused),
        ("client.token", "success", client_id, "api_client", client, {}),
        ("client.revoke", "success", me, "admin", client, {}),
    ]


async def test_what_a_role_may_not_is_refused_and_recorded(house: House) -> None:
    member = await house.account()
    headers = await headers_of(member)
    assert (await member.client.get(EVENTS, headers=headers)).status_code == 403
    last = (await rows(house, member))[-1]
    assert (last.action, last.outcome, last.role) == ("access.refused", "refused", "member")
    assert last.detail == {"method": "GET", "route": EVENTS}


async def test_what_concerns_the_platform_stands_in_the_operators_trail(house: House, shell: Shell) -> None:
    operator = await house.account(Role.OPERATOR)
    headers = await headers_of(operator)
    slug = f"new-{operator.email[:8]}"
    opened = await operator.client.post("/api/v1/facilities", json={"slug": slug, "name": "New"}, headers=headers)
    _, rotated, _ = await shell("rotate-keys")
    await shell("rotate-keys", "--revoke", rotated["kid"])
    await settled(house, await facility_id(house, operator))
    events = (await operator.client.get(EVENTS, params={"limit": 3}, headers=headers)).json()["items"]
    key = f"key/{rotated['kid']}"
    assert [(e["action"], e["target"], e["subject"] == "command") for e in events] == [
        ("key.revoke", key, True),
        ("key.rotate", key, True),
        ("facility.open", f"facility/{opened.json()['id']}", False),
    ]
    theirs = await house.sql("SELECT action, role FROM audit WHERE facility_id = :f", f=opened.json()["id"])
    assert [tuple(row) for row in theirs] == [("facility.open", "operator")]


async def shown(house: House, admin: Account, headers: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    """All rows, page by page, by two."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await admin.client.get(EVENTS, params={"limit": 2, **query, **cursor}, headers=headers)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if not answer.json()["next"]:
            return found
        cursor = {"cursor": answer.json()["next"]}


async def test_admins_see_their_own_facilitys_rows_newest_first_by_filters(house: House) -> None:
    admin, other = await house.account(Role.ADMIN), await house.account(Role.ADMIN)
    headers, others = await headers_of(admin), await headers_of(other)
    await settled(house, await facility_id(house, admin))
    all_rows = await shown(house, admin, headers)
    recorded = [str(row.event_id) for row in await rows(house, admin)]
    assert [row["id"] for row in all_rows] == recorded[: len(all_rows)][::-1]
    assert [row["number"] for row in all_rows] == list(range(len(all_rows), 0, -1))
    assert not {row["id"] for row in all_rows} & {row["id"] for row in await shown(house, other, others)}
    person = next(row["target"] for row in all_rows if row["action"] == "person.add")
    login = next(row for row in all_rows if row["action"] == "login")
    for query, actions in (
        ({"action": "login"}, ["login"]),
        ({"target": person}, ["factor.add", "person.add"]),
        ({"subject": "command"}, ["person.add", "facility.open"]),
        ({"to": login["at"]}, ["factor.add", "person.add", "facility.open"]),
        ({"from": login["at"], "action": "login"}, ["login"]),
        ({"outcome": "refused"}, []),
        ({"service": "ingest"}, []),
        ({"study": str(UUID(int=1))}, []),
    ):
        assert [row["action"] for row in await shown(house, admin, headers, **query)] == actions, query
    [state] = [(await admin.client.get(f"{EVENTS}/chain", headers=headers)).json()]
    assert (state["findings"], state["number"] >= len(all_rows)) == ([], True)
    for cursor in ("x", "AAAA", "é", "//////////8"):
        answer = await admin.client.get(EVENTS, params={"cursor": cursor}, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:codetect:problem:cursor-invalid"), cursor


async def test_looking_at_the_trail_is_recorded_without_what_was_looked_for(house: House) -> None:
    admin = await house.account(Role.ADMIN)
    headers = await headers_of(admin)
    await admin.client.get(EVENTS, params={"subject": "secret"}, headers=headers)
    await admin.client.get(EVENTS, params={"format": "csv"}, headers=headers)
    read, exported = (await rows(house, admin))[-2:]
    assert (read.action, read.detail) == ("audit.read", {"filters": ["subject"], "found": 0})
    assert (exported.action, exported.detail) == ("audit.export", {"filters": [], "format": "csv"})


async def test_the_trail_as_csv_holds_every_row_and_no_formula(house: House) -> None:
    admin = await house.account(Role.ADMIN)
    headers = await headers_of(admin)
    await admin.client.get(EVENTS, headers=headers | {"X-Request-Id": "-2+3"})
    count = await settled(house, await facility_id(house, admin))
    answer = await admin.client.get(EVENTS, headers=headers | {"Accept": "text/csv, */*;q=0.1"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) == count
    assert [int(row["number"]) for row in table] == list(range(count, 0, -1))
    assert json.loads(table[0]["detail"])["filters"] == []


async def test_the_trail_as_fhir_is_valid_and_names_its_patterns(house: House) -> None:
    from tests.auth.test_trail import Trail, told

    admin = await house.account(Role.ADMIN)
    headers = await headers_of(admin)
    facility = await house.auth.facility_of(admin.host)
    assert facility
    trail, f = Trail(house, facility, ""), facility.id
    study, analysis = f"study/{UUID(int=1)}", f"analysis/{UUID(int=2)}"
    await trail.take(
        told(f, 1, "ingest", action="identity.read", target=study, study_id=str(UUID(int=1))),
        told(f, 2, "ingest", action="study.erase", target=study, study_id=str(UUID(int=1)), detail={}),
        told(f, 1, "inference", action="image.read", target=analysis, role="api_client", session_id=None),
        told(f, 2, "inference", action="analysis.search", target=None, study_id=None),
        told(f, 3, "inference", action="analysis.rerun", target=analysis, address=None, request_id=None),
        told(f, 4, "inference", action="access.refused", outcome="refused", target=None, study_id=None),
        told(f, 3, "ingest", action="upload.open", target="upload/1", study_id=None),
    )
    await settled(house, f)
    answer = await admin.client.get(EVENTS, headers=headers | {"Accept": "application/fhir+ndjson"})
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    events = [json.loads(line) for line in answer.text.splitlines()]
    by_action: dict[str, dict[str, Any]] = {}
    for event in events:
        AuditEvent.model_validate(event)
        facts = event["entity"][-1]["detail"]
        by_action[next(one["valueString"] for one in facts if one["type"] == "action")] = event
        check_pattern(event)
    profiles = {
        name: event.get("meta", {}).get("profile", [""])[0].rpartition(".")[2] for name, event in by_action.items()
    }
    assert profiles == {
        "identity.read": "Read",
        "study.erase": "Delete",
        "image.read": "Read",
        "analysis.search": "",
        "analysis.rerun": "",
        "access.refused": "",
        "upload.open": "Create",
        "login": "",
        "factor.add": "Create",
        "person.add": "",
        "facility.open": "",
    }
    read = by_action["identity.read"]
    assert read["entity"][0]["what"] == {
        "identifier": {"system": "urn:codetect:study", "value": str(UUID(int=1))},
        "type": "ImagingStudy",
    }
    assert by_action["login"]["type"]["code"] == "110114"
    assert by_action["access.refused"]["outcome"] == "4"


def check_pattern(event: dict[str, Any]) -> None:
    """What BALP's Read, Create, Update and Delete ask for beyond FHIR itself (its FSH, version 1.1.4)."""
    for profile in event.get("meta", {}).get("profile", []):
        pattern = profile.removeprefix("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.")
        assert event["type"]["code"] == "rest"
        assert event["action"] == pattern[0]
        assert pattern.lower() in [one["code"] for one in event["subtype"]]
        assert event["outcome"] == "0"
        agents = {agent["type"]["coding"][0]["code"]: agent for agent in event["agent"]}
        assert len(agents) == len(event["agent"])
        client, server = ("110152", "110153") if pattern == "Read" else ("110153", "110152")
        for code in (client, server):
            assert {"who", "network"} <= agents[code].keys()
            assert not {"role", "altId", "name", "location", "policy", "media", "purposeOfUse"} & agents[code].keys()
        if user := agents.get("IRCP"):
            assert (user["requestor"], "network" in user) == (True, False)
        data = [one for one in event["entity"] if one["type"]["code"] == "2"]
        assert len(data) == 1
        assert data[0]["role"]["code"] in ("3", "4", "20")
        assert not {"lifecycle", "name", "query", "detail"} & data[0].keys()
        for one in event["entity"]:
            if one["type"]["code"] == "XrequestId":
                assert one["what"]["identifier"]["value"]


async def test_without_a_row_nothing_is_shown_changed_or_entered(house: House, environment: Mapping[str, str]) -> None:
    admin = await house.account(Role.ADMIN)
    headers = await headers_of(admin)
    step = (await admin.step_one()).json()["mfa_token"]
    [[before]] = await house.sql("SELECT count(*) FROM api_clients")
    async with without_audit(environment, "AUTH"):
        body = {"name": "PACS", "scopes": ["read"]}
        answers = [
            await admin.client.get(EVENTS, headers=headers),
            await admin.client.get(EVENTS, params={"format": "csv"}, headers=headers),
            await admin.client.post("/api/v1/api-clients", json=body, headers=headers),
            await admin.step_two(step, admin.code()),
            await Account(admin.client, admin.email, "wrong password").step_one(),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:codetect:problem:audit-unavailable")
        assert set(answer.json()) == {"type", "title", "status"}
    [[after]] = await house.sql("SELECT count(*) FROM api_clients")
    assert before == after
    assert (await admin.client.get(EVENTS, headers=headers)).status_code == 200


async def test_fifty_at_once_have_fifty_numbers(house: House) -> None:
    admin = await house.account(Role.ADMIN)
    headers = await headers_of(admin)
    answers = await asyncio.gather(*(admin.client.get(EVENTS, headers=headers) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    found = await rows(house, admin)
    assert sum(row.action == "audit.read" for row in found) == 50
    assert await settled(house, await facility_id(house, admin)) == len(found)
