"""Who read and changed analyses is written down; what can't be written down is neither shown nor done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from codetect_shared.events import AuditRecorded
from codetect_shared.tokens import Role

from tests.audit import without_audit
from tests.inference.conftest import Facility, House, series
from tests.inference.samples import bundle_files
from tests.inference.test_routes import result

__all__ = ["result"]


async def rows(house: House, facility: Facility) -> list[asyncpg.Record]:
    found = await house.sql("SELECT * FROM audit WHERE facility_id = $1 ORDER BY sequence", facility.id)
    assert [row["sequence"] for row in found] == list(range(1, len(found) + 1))
    return found


async def test_each_kind_of_look_at_a_study_is_one_row_a_minute(
    result: dict[str, Any], facility: Facility, house: House
) -> None:
    one, person = f"/analyses/{result['id']}", house.tokens.headers(facility.id, Role.VIEWER)
    for path in (one, *(f"{one}/slices/{n}/{what}.png" for n in range(4) for what in ("image", "heatmap"))):
        answer = await house.client.get(f"/api/v1{path}", headers=person | {"X-Forwarded-For": "203.0.113.9"})
        assert answer.status_code in (200, 404)
    for path in (f"{one}/slices", f"{one}/report.dcm", "/analyses", "/analyses?status=failed"):
        assert (await house.client.get(f"/api/v1{path}", headers=person)).is_success
    found = [row for row in await rows(house, facility) if row["role"] == "viewer"]
    assert [(row["action"], row["address"]) for row in found] == [
        ("analysis.read", "203.0.113.9"),
        ("image.read", "203.0.113.9"),
        ("result.read", "203.0.113.9"),
        ("result.read", "127.0.0.1"),
        ("analysis.search", "127.0.0.1"),
    ]
    assert {row["target"] for row in found[:4]} == {f"analysis/{result['id']}"}
    assert {str(row["study_id"]) for row in found[:4]} == {result["study_id"]}
    assert (await facility.ask("GET", one)).is_success
    assert (await rows(house, facility))[-1]["action"] == "analysis.read"  # somebody else's look is a row of its own


@pytest.mark.parametrize(
    ("path", "looks"),
    [
        ("slices/1/pixels", ["image.read"]),
        ("slices/1/heatmap.png", ["result.read"]),
        ("slices/1/heatmap.png?on_slice=true", ["result.read", "image.read"]),
        ("documents/1", ["result.read", "image.read"]),
        ("report.pdf", ["result.read", "image.read"]),
        ("report.fhir.json", ["result.read"]),
    ],
)
async def test_a_paper_with_pictures_is_a_look_at_images_too(
    result: dict[str, Any], facility: Facility, house: House, path: str, looks: list[str]
) -> None:
    person = house.tokens.headers(facility.id, Role.VIEWER)
    assert (await house.client.get(f"/api/v1/analyses/{result['id']}/{path}", headers=person)).is_success
    found = [row for row in await rows(house, facility) if row["role"] == "viewer"]
    assert [(row["action"], row["target"]) for row in found] == [(one, f"analysis/{result['id']}") for one in looks]


async def test_what_is_done_with_analyses_and_models_is_recorded(
    clear: None, facility: Facility, house: House, tmp_path: Path
) -> None:
    assert (await facility.register(bundle_files())).status_code == 201
    (model,) = (await facility.ask("GET", "/models")).json()["items"]
    path = f"/models/{model['name']}/{model['version']}"
    assert (await facility.ask("PATCH", path, Role.OPERATOR, json={"active": True})).is_success
    await facility.receive(series())
    ((found),) = (await facility.ask("GET", "/analyses")).json()["items"]
    one = f"/analyses/{found['id']}"
    assert (await facility.ask("PATCH", one, json={"tags": ["a name"]})).is_success
    assert (await facility.ask("POST", f"{one}/cancel")).is_success
    assert (await facility.ask("POST", f"{one}/cancel")).status_code == 409
    assert (await facility.ask("POST", f"{one}/rerun")).is_success
    assert (await facility.ask("DELETE", one, Role.VIEWER)).status_code == 403
    assert (await facility.ask("DELETE", one)).is_success
    told = await rows(house, facility)
    model_target = f"model/{model['name']}/{model['version']}"
    assert [(row["action"], row["outcome"], row["target"]) for row in told if row["action"] != "analysis.search"] == [
        ("model.register", "success", model_target),
        ("model.activate", "success", model_target),
        ("model.switch", "success", model_target),
        ("analysis.organise", "success", f"analysis/{found['id']}"),
        ("analysis.cancel", "success", f"analysis/{found['id']}"),
        ("analysis.rerun", "success", f"analysis/{found['id']}"),
        ("access.refused", "refused", None),
        ("analysis.delete", "success", f"analysis/{found['id']}"),
    ]
    assert "a name" not in str(told)
    events = await house.sql(
        "SELECT * FROM outbox WHERE facility_id = $1 AND queue = 'auth.audit' ORDER BY id", facility.id
    )
    sent = [AuditRecorded.model_validate_json(row["data"]) for row in events]
    assert [(one.number, one.service, one.action) for one in sent] == [
        (row["sequence"], "inference", row["action"]) for row in told
    ]
    assert [row["event_id"] for row in events] == [row["event_id"] for row in told]
    assert {(row["subject"], row["type"]) for row in events} == {
        (f"audit/{facility.id}/inference", "codetect.audit.recorded.v1")
    }


async def test_without_a_row_nothing_is_shown_or_done(
    result: dict[str, Any], facility: Facility, house: House, environment: Mapping[str, str]
) -> None:
    one = f"/analyses/{result['id']}"
    reads = (
        "/analyses",
        one,
        f"{one}/slices",
        f"{one}/slices/1/image.png",
        f"{one}/slices/1/pixels",
        f"{one}/report.dcm",
        f"{one}/report.pdf",
    )
    person = house.tokens.headers(facility.id, Role.MEMBER)
    async with without_audit(environment, "INFERENCE"):
        answers = [await house.client.get(f"/api/v1{path}", headers=person) for path in reads]
        answers.append(await house.client.delete(f"/api/v1{one}", headers=person))
        refused = await facility.ask("DELETE", one, Role.VIEWER)
    for answer in answers:
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:codetect:problem:audit-unavailable")
        assert set(answer.json()) == {"type", "title", "status"}
        assert result["study_id"] not in answer.text
    assert refused.status_code == 403
    for path in reads:
        assert (await house.client.get(f"/api/v1{path}", headers=person)).is_success


@pytest.mark.parametrize("statement", ["UPDATE audit SET subject = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
@pytest.mark.parametrize("role", ["", "_OWNER", "_SYSTEM"])
async def test_no_role_of_the_service_changes_a_row(
    house: House, facility: Facility, environment: Mapping[str, str], role: str, statement: str
) -> None:
    await facility.ask("GET", "/analyses")
    connection = await asyncpg.connect(environment[f"CODETECT_INFERENCE_DATABASE{role}_URL"])
    try:
        await connection.execute(f"SELECT set_config('codetect.facility', '{facility.id}', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
    assert len(await rows(house, facility)) == 1
