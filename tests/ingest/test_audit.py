"""What is sent, read and taken out of ingest is written down; without a row nothing leaves."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from codetect_shared.events import AuditRecorded
from codetect_shared.tokens import Role

from tests.audit import without_audit
from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import asking, keep_study


async def rows(clinic: Clinic) -> list[Any]:
    found = await clinic.sql("SELECT * FROM audit WHERE facility_id = :f ORDER BY sequence", f=clinic.facility_id)
    assert [row.sequence for row in found] == list(range(1, len(found) + 1))
    assert "CANARY" not in str(found)
    return found


async def test_a_studys_way_is_recorded_and_told_in_order(clinic: Clinic, hands: Hands) -> None:
    study_id, upload = await keep_study(clinic, hands)
    doctor = asking(clinic, Role.MEMBER, "identity") | {"X-Forwarded-For": "203.0.113.7", "X-Request-Id": "r-77"}
    for _ in range(3):
        await clinic.ask("GET", f"/studies/{study_id}", headers=doctor)
    await clinic.ask("GET", "/studies", headers=doctor)
    await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)
    await clinic.ask("GET", f"/uploads/{upload['id']}/reference", headers=doctor)
    await clinic.ask("GET", "/studies/export", headers=doctor)
    await clinic.ask("GET", f"/studies/{study_id}/identity")
    await clinic.ask("DELETE", f"/studies/{study_id}")
    found = await rows(clinic)
    assert [(row.action, row.outcome, row.target) for row in found] == [
        ("upload.open", "success", f"upload/{upload['id']}"),
        ("upload.complete", "success", f"upload/{upload['id']}"),
        ("study.read", "success", f"study/{study_id}"),
        ("study.search", "success", None),
        ("identity.read", "success", f"study/{study_id}"),
        ("reference.read", "success", f"upload/{upload['id']}"),
        ("studies.export", "success", None),
        ("access.refused", "refused", None),
        ("study.erase", "success", f"study/{study_id}"),
    ]
    assert {(row.address, row.request_id) for row in found[2:7]} == {("203.0.113.7", "r-77")}
    events = await clinic.sql(
        "SELECT data, event_id FROM outbox WHERE facility_id = :f AND queue = 'auth.audit' ORDER BY id",
        f=clinic.facility_id,
    )
    sent = [AuditRecorded.model_validate(row.data) for row in events]
    assert [(one.number, one.action, one.service) for one in sent] == [
        (row.sequence, row.action, "ingest") for row in found
    ]
    assert [row.event_id for row in events] == [row.event_id for row in found]


async def test_without_a_row_nothing_leaves_and_nothing_is_done(
    clinic: Clinic, hands: Hands, environment: Mapping[str, str]
) -> None:
    study_id, _ = await keep_study(clinic, hands)
    doctor = asking(clinic, Role.ADMIN, "identity")
    paths = [
        f"/studies/{study_id}/identity",
        f"/studies/{study_id}/export?view=original",
        "/studies/export?identities=true",
        "/studies/export?format=parquet",
        f"/studies/{study_id}",
        "/studies",
    ]
    async with without_audit(environment, "INGEST"):
        answers = [await clinic.ask("GET", path, headers=doctor) for path in paths]
        answers.append(await clinic.ask("DELETE", f"/studies/{study_id}", headers=doctor))
        answers.append(await clinic.ask("POST", "/uploads", json={}, headers=doctor))
        answers.append(await clinic.ask("PATCH", "/ingest/settings", json={"quiet_s": 9}, headers=doctor))
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:codetect:problem:audit-unavailable")
        assert set(answer.json()) == {"type", "title", "status"}
    for path in paths:
        assert (await clinic.ask("GET", path, headers=doctor)).is_success


async def test_rows_of_before_are_told_when_the_table_is_widened(
    clinic: Clinic, environment: Mapping[str, str]
) -> None:
    """The migration, on a database that stood at the version before."""
    admin = environment["CODETECT_POSTGRES_ADMIN_URL"]
    owner_url = environment["CODETECT_INGEST_DATABASE_OWNER_URL"]
    owner, name = owner_url.split("//")[1].split(":")[0], "audit_before"
    server = await asyncpg.connect(admin)
    await server.execute(f"DROP DATABASE IF EXISTS {name}")
    await server.execute(f"CREATE DATABASE {name} OWNER {owner}")
    inside = await asyncpg.connect(f"{admin.rpartition('/')[0]}/{name}")
    try:
        await inside.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        await inside.execute(f"ALTER SCHEMA public OWNER TO {owner}")
        config = Config()
        from importlib.resources import files

        config.set_main_option("script_location", str(files("codetect_ingest") / "migrations"))
        config.attributes["url"] = f"{owner_url.rpartition('/')[0]}/{name}"
        await _migrate(config, "0005")
        await inside.execute("""
            INSERT INTO audit (facility_id, sequence, subject, role, action, study_id, outcome, detail)
            SELECT f, n, 'someone', 'member', 'identity.read', gen_random_uuid(), 'success', '{}'
            FROM unnest(ARRAY[gen_random_uuid(), gen_random_uuid()]) f, generate_series(1, 3) n ORDER BY n DESC
        """)
        await _migrate(config, "head")
        told = await inside.fetch("SELECT * FROM outbox ORDER BY id")
        assert [row["sequence"] for row in told] == [1, 2, 3, 1, 2, 3]
        sent = [AuditRecorded.model_validate_json(row["data"]) for row in told]
        assert {(one.service, one.action, one.target == f"study/{one.study_id}") for one in sent} == {
            ("ingest", "identity.read", True)
        }
        assert [row["sequence"] for row in await inside.fetch("SELECT sequence FROM audit_counters")] == [3, 3]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await inside.execute("DELETE FROM audit")
    finally:
        await inside.close()
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()


async def _migrate(config: Config, revision: str) -> None:
    import asyncio

    await asyncio.to_thread(command.upgrade, config, revision)
