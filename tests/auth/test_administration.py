"""Operators open facilities, admins see their own people, and nobody sees another facility's."""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from codetect_auth.models import Base
from codetect_shared.tokens import Role
from sqlalchemy import text

from tests.auth.conftest import Account, House, Shell


async def headers_of(account: Account) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await account.enrol())['access_token']}"}


async def test_an_operator_opens_a_facility_and_its_host_answers_at_once(house: House) -> None:
    operator = await house.account(Role.OPERATOR)
    headers, slug = await headers_of(operator), f"new-{os.urandom(4).hex()}"
    body = {"slug": slug, "name": "New Hospital"}
    opened = await operator.client.post("/api/v1/facilities", json=body, headers=headers)
    assert (opened.status_code, opened.json()["status"]) == (201, "active")
    again = await operator.client.post("/api/v1/facilities", json=body, headers=headers)
    assert (again.status_code, again.json()["type"]) == (409, "urn:codetect:problem:facility-exists")
    assert (await house.client(f"{slug}.localhost").get("/api/v1/facility")).json()["name"] == "New Hospital"
    [row] = await house.sql(
        "SELECT type, data FROM outbox WHERE facility_id = :id AND queue IS NULL", id=opened.json()["id"]
    )
    assert (row.type, row.data["slug"]) == ("codetect.facility.opened.v1", slug)


@pytest.mark.parametrize("slug", ["www", "UPPER", "-a", "a-", "", "a" * 64, "ä", "a.b"])
async def test_a_bad_slug_is_refused(house: House, slug: str) -> None:
    operator = await house.account(Role.OPERATOR)
    headers = await headers_of(operator)
    answer = await operator.client.post("/api/v1/facilities", json={"slug": slug, "name": "x"}, headers=headers)
    assert answer.status_code == 422


async def test_lists_come_in_pages_until_the_end(house: House) -> None:
    operator = await house.account(Role.OPERATOR)
    headers = await headers_of(operator)
    for _ in range(3):
        await house.facility()
    slugs: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        page = (await operator.client.get("/api/v1/facilities", params={"limit": 2, **cursor}, headers=headers)).json()
        slugs += [item["slug"] for item in page["items"]]
        if not page["next"]:
            break
        cursor = {"cursor": page["next"]}
    known = [row.slug for row in await house.sql("SELECT slug FROM facilities ORDER BY id")]
    assert slugs == known


async def test_an_admin_sees_the_facilitys_own_people_only(house: House) -> None:
    facility = await house.facility()
    admin, member = await house.account(Role.ADMIN, facility), await house.account(Role.MEMBER, facility)
    await house.account()
    answer = await admin.client.get("/api/v1/members", headers=await headers_of(admin))
    assert [(item["email"], item["role"]) for item in answer.json()["items"]] == [
        (admin.email, "admin"),
        (member.email, "member"),
    ]


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.ADMIN, "/api/v1/facilities", 403),
        (Role.MEMBER, "/api/v1/facilities", 403),
        (Role.MEMBER, "/api/v1/members", 403),
        (Role.VIEWER, "/api/v1/api-clients", 403),
        (Role.VIEWER, "/api/v1/auth/me", 200),
    ],
)
async def test_a_role_sees_what_is_its_own(house: House, role: Role, path: str, status: int) -> None:
    account = await house.account(role)
    assert (await account.client.get(path, headers=await headers_of(account))).status_code == status
    assert (await account.client.get(path)).status_code == 401


async def test_row_level_security_fences_every_table_that_has_a_facility(house: House) -> None:
    account, other = await house.account(), await house.account()
    await account.enrol()
    facility = await house.auth.facility_of(other.host)
    assert facility
    fenced = [table.name for table in Base.metadata.sorted_tables if "facility_id" in table.columns]
    assert len(fenced) >= 8
    for table in [*fenced, "outbox"]:
        theirs = text(f"SELECT count(*) FROM {table} WHERE facility_id <> :id")
        async with house.auth.db.system() as session:
            everybodys = await session.scalar(theirs, {"id": facility.id})
        async with house.auth.db.facility(facility.id) as session:
            seen = await session.scalar(theirs, {"id": facility.id})
            if table != "outbox":
                done = await session.execute(
                    text(f"UPDATE {table} SET facility_id = facility_id WHERE facility_id <> :id"), {"id": facility.id}
                )
                assert done.rowcount == 0  # type: ignore[attr-defined]
        # Which facilities there are is public; writing them is not.
        assert seen == (everybodys if table == "facilities" else 0), table


async def test_a_facility_is_opened_by_a_command(house: House, environment: Mapping[str, str]) -> None:
    """As a process of its own, the way operators run it."""
    slug = f"cli-{os.urandom(4).hex()}"
    arguments = ("admin", "create-facility", "--slug", slug, "--name", "Command Clinic")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "codetect_auth", *arguments),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert f"host: {slug}.localhost" in out.decode().splitlines()
    assert (await house.client(f"{slug}.localhost").get("/api/v1/facility")).json()["name"] == "Command Clinic"


async def test_people_and_programs_of_a_facility_are_made_by_commands(house: House, shell: Shell) -> None:
    slug, password = (await house.facility()).slug, "correct horse battery"
    code, _, err = await shell("create-facility", "--slug", slug, "--name", "Again")
    assert (code, err) == (3, "There is a facility of this slug already.\n")

    person = ("create-person", "--facility", slug, "--email", "Dr.Grün@Klinik.local", "--name", "Dr. Grün")
    code, created, _ = await shell(*person, "--role", "admin", "--with-totp", "--password-stdin", password=password)
    assert code == 0
    assert "password" not in created
    account = Account(house.client(f"{slug}.localhost"), "dr.GRÜN@klinik.LOCAL", password, created["totp_secret"])
    step = (await account.step_one()).json()["mfa_token"]
    assert (await account.step_two(step, account.code())).status_code == 200
    assert len(created["recovery_codes"]) == 10
    code, _, err = await shell(*person, "--role", "viewer")
    assert (code, err) == (3, "Somebody with this e-mail address belongs to the facility already.\n")

    _, client, _ = await shell("create-api-client", "--facility", slug, "--name", "PACS", "--scope", "read")
    assert client["scopes"] == ["read"]
    form = {"grant_type": "client_credentials"} | {k: client[k] for k in ("client_id", "client_secret")}
    assert (await account.client.post("/oauth/token", data=form)).status_code == 200


async def test_the_first_operator_is_made_by_a_command_with_a_password_of_its_own(house: House, shell: Shell) -> None:
    email = f"{os.urandom(4).hex()}@ops.example"
    code, created, _ = await shell("create-operator", "--email", email, "--name", "Operator")
    assert (code, created["role"], created["facility"]) == (0, "operator", "admin")
    account = Account(house.client("admin.localhost"), email, created["password"])
    tokens = await account.enrol()
    assert (await account.get("/api/v1/facilities", tokens["access_token"])).status_code == 200


async def test_a_command_lets_somebody_try_again_at_once(house: House, shell: Shell) -> None:
    account = await house.account()
    wrong = Account(account.client, account.email, "guess" * 4)
    while (await wrong.step_one()).status_code != 429:
        pass
    assert (await account.step_one()).status_code == 429
    code, _, _ = await shell("unlock", "--facility", account.host.split(".")[0], "--email", account.email.upper())
    assert code == 0
    assert (await account.step_one()).status_code == 200


async def test_keys_are_rotated_and_revoked_by_command(house: House, shell: Shell) -> None:
    _, rotated, _ = await shell("rotate-keys")
    _, signing, _ = await shell("rotate-keys", "--revoke", rotated["kid"])
    published = [key["kid"] for key in (await house.auth.keys.jwks())["keys"]]
    assert rotated["kid"] not in published
    assert signing["kid"] in published


@pytest.mark.parametrize(
    ("arguments", "password", "code"),
    [
        (
            ("create-person", "--facility", "nowhere", "--email", "a@b.example", "--name", "A", "--role", "member"),
            None,
            1,
        ),
        (("create-operator", "--email", "no address", "--name", "A"), "", 1),
        (("create-operator", "--email", "a@b.example", "--name", "A", "--password-stdin"), "short", 1),
        (("create-facility", "--slug", "Not A Slug", "--name", "A"), "", 1),
        (("rotate-keys", "--revoke", "nobody's"), "", 1),
        (("unlock", "--facility", "admin", "--email", "nobody@b.example"), "", 1),
        (("create-person", "--role", "operator"), "", 2),
    ],
)
async def test_a_command_that_is_refused_says_why_without_a_traceback(
    house: House, shell: Shell, arguments: tuple[str, ...], password: str, code: int
) -> None:
    await house.account(Role.OPERATOR)
    got, _, err = await shell(*arguments, password=password)
    assert got == code
    assert err
    assert "Traceback" not in err
