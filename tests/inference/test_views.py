"""Views of the worklist: kept for one person, seen by nobody else."""

from typing import Any

from codetect_shared.db import uuid7
from codetect_shared.tokens import Role, Scope

from tests.inference.conftest import Facility
from tests.inference.readers import Reader, readers

FILTERS = "status=failed&since=yesterday"


async def keep(reader: Reader, name: str, filters: str = FILTERS) -> dict[str, Any]:
    answer = await reader.ask("POST", "/views", json={"name": name, "filters": filters})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def names(reader: Reader) -> list[str]:
    return [one["name"] for one in (await reader.ask("GET", "/views")).json()["items"]]


async def test_a_view_is_kept_changed_and_forgotten(facility: Facility) -> None:
    viewer = Reader(facility, uuid7(), Role.VIEWER)
    kept = await keep(viewer, " Morning ")
    assert (kept["name"], kept["filters"]) == ("Morning", FILTERS)
    await keep(viewer, "evening")
    assert await names(viewer) == ["evening", "Morning"]
    changed = await viewer.ask("PATCH", f"/views/{kept['id']}", json={"name": "Ward 3"})
    assert (changed.json()["name"], changed.json()["filters"]) == ("Ward 3", FILTERS)
    changed = await viewer.ask("PATCH", f"/views/{kept['id']}", json={"filters": "mine=true"})
    assert (changed.json()["name"], changed.json()["filters"]) == ("Ward 3", "mine=true")
    assert (await viewer.ask("DELETE", f"/views/{kept['id']}")).status_code == 204
    assert await names(viewer) == ["evening"]


async def test_what_is_searched_for_holds_no_identifier_but_days_may_be_filters(facility: Facility) -> None:
    viewer = Reader(facility, uuid7(), Role.VIEWER)
    kept = await keep(viewer, "Since then", "from=2026-11-01&q=pneumonia")
    for filters in ("q=Doe%5EJane", "status=failed&q=1970-01-31"):
        for method, path in (("POST", "/views"), ("PATCH", f"/views/{kept['id']}")):
            answer = await viewer.ask(method, path, json={"name": "Other", "filters": filters})
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:codetect:problem:holds-identifier")


async def test_nobody_else_sees_or_changes_it(facility: Facility, other: Facility) -> None:
    mine, colleague = readers(facility, 2)
    kept = await keep(mine, "Mine")
    for stranger in (colleague, Reader(facility, uuid7(), Role.ADMIN), Reader(other, mine.id)):
        assert await names(stranger) == []
        for method in ("PATCH", "DELETE"):
            answer = await stranger.ask(method, f"/views/{kept['id']}", json={"name": "Theirs"})
            assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:view-not-found")
    assert await names(mine) == ["Mine"]
    await keep(colleague, "Mine")  # names are one's own
    program = Reader(facility, uuid7(), Role.API_CLIENT, frozenset({Scope.READ, Scope.WRITE}))
    assert (await program.ask("GET", "/views")).status_code == 403


async def test_names_are_taken_once_and_hold_no_patient(facility: Facility) -> None:
    (reader,) = readers(facility, 1)
    kept, second = await keep(reader, "A"), await keep(reader, "B")
    again = await reader.ask("POST", "/views", json={"name": "A", "filters": ""})
    assert (again.status_code, again.json()["type"]) == (409, "urn:codetect:problem:view-name-taken")
    renamed = await reader.ask("PATCH", f"/views/{second['id']}", json={"name": "A"})
    assert renamed.status_code == 409
    assert (await reader.ask("PATCH", f"/views/{kept['id']}", json={"name": "A"})).status_code == 200
    for name in ("DOE^JANE", "Patient: Doe"):
        answer = await reader.ask("POST", "/views", json={"name": name, "filters": ""})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:codetect:problem:holds-identifier")
    for bad in ({"name": "", "filters": ""}, {"name": "x"}, {"name": "x" * 61, "filters": ""}):
        assert (await reader.ask("POST", "/views", json=bad)).status_code == 422


async def test_there_are_fifty_at_most(facility: Facility) -> None:
    (reader,) = readers(facility, 1)
    for number in range(50):
        await keep(reader, f"view {number}")
    answer = await reader.ask("POST", "/views", json={"name": "one more", "filters": ""})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:too-many-views")
