"""The worklist's list: filters, orders that lose nothing, what it can be filtered by, one thing done with several."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from codetect_inference import superseding
from codetect_inference.models import Analysis
from codetect_shared import topology
from codetect_shared.db import uuid7
from codetect_shared.tokens import Role
from sqlalchemy import select

from tests.inference.conftest import Facility, House, do, series
from tests.inference.readers import Reader, read, readers

WRONG_STATE, NOT_THERE = "wrong-state", "analysis-not-found"


async def found(reader: Reader, **filters: Any) -> list[dict[str, Any]]:
    answer = await reader.ask("GET", "/analyses", params={"limit": 200} | filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def ids(reader: Reader, **filters: Any) -> list[UUID]:
    return [UUID(one["id"]) for one in await found(reader, **filters)]


async def received(facility: Facility, **changes: Any) -> UUID:
    """A study arrives: its one analysis."""
    event = await facility.receive(series(), **changes)
    (analysis,) = await facility.analyses(event.study_id)
    return analysis.id


async def bulk(reader: Reader, those: list[UUID], what: str, **change: Any) -> list[dict[str, Any]]:
    body = {"ids": [str(one) for one in those], "do": what} | ({"change": change} if change else {})
    answer = await reader.ask("POST", "/analyses/bulk", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def facets(reader: Reader) -> dict[str, dict[str, int]]:
    answer = (await reader.ask("GET", "/analyses/facets")).json()
    return {name: {one["value"]: one["count"] for one in those} for name, those in answer.items()}


async def test_a_positive_finding_is_found_by_its_label_and_without_one(
    versions: str, facility: Facility, tmp_path: Path
) -> None:
    await do(facility, "activate", "0.2.0")
    positive = (await read(facility, tmp_path)).id
    await do(facility, "activate", "0.3.0")
    negative = (await read(facility, tmp_path)).id
    waiting = await received(facility)
    (reader,) = readers(facility, 1)
    assert await ids(reader, finding="grey") == [positive]
    assert await ids(reader, positive="true") == [positive]
    assert await ids(reader, positive="false") == [negative]
    assert await ids(reader, finding="other") == []
    assert (await facets(reader))["findings"] == {"grey": 1}
    assert await ids(reader, status=["queued", "running"]) == [waiting]
    assert await ids(reader, status="completed") == [negative, positive]


async def test_mine_is_what_i_sent_or_asked_for(tiny: str, facility: Facility) -> None:
    one, other = readers(facility, 2)
    mine = await received(facility, submitted_by=one.id)
    theirs = await received(facility, submitted_by=other.id)
    nobodys = await received(facility)
    assert await ids(one, mine="true") == [mine]
    assert await ids(other, mine="true") == [theirs]
    assert await ids(one) == [nobodys, theirs, mine]


async def test_days_bound_the_list(tiny: str, facility: Facility, house: House) -> None:
    (reader,) = readers(facility, 1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    old, new = [await received(facility) for _ in range(2)]
    await house.sql("UPDATE analyses SET created_at = $1 WHERE id = $2", today - timedelta(days=3), old)
    assert await ids(reader, **{"from": (today - timedelta(days=1)).isoformat()}) == [new]
    assert await ids(reader, to=(today - timedelta(days=1)).isoformat()) == [old]
    assert await ids(reader, **{"from": (today - timedelta(days=3)).isoformat()}) == [new, old]


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-finished_at"])
async def test_urgent_ones_come_first_and_pages_lose_none(
    tiny: str, facility: Facility, house: House, sort: str
) -> None:
    (reader,) = readers(facility, 1)
    draw = random.Random(7)
    kinds = ["urgent"] * 5 + ["routine"] * 12
    draw.shuffle(kinds)
    those = {await received(facility, priority=kind): kind for kind in kinds}
    await house.sql("UPDATE analyses SET finished_at = created_at WHERE facility_id = $1", facility.id)
    newest_first = [one for one in reversed(those) if those[one] == "urgent"] + [
        one for one in reversed(those) if those[one] == "routine"
    ]
    oldest_first = [one for one in those if those[one] == "urgent"] + [one for one in those if those[one] == "routine"]
    pages, cursor = [], {}
    while True:
        params = {"urgent_first": "true", "sort": sort, "limit": 4} | cursor
        page = (await reader.ask("GET", "/analyses", params=params)).json()
        pages.append([UUID(one["id"]) for one in page["items"]])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [len(page) for page in pages] == [4, 4, 4, 4, 1]
    assert [one for page in pages for one in page] == (newest_first if sort.startswith("-") else oldest_first)
    other_order = await reader.ask("GET", "/analyses", params={"sort": sort} | cursor)
    assert (other_order.status_code, other_order.json()["type"]) == (422, "urn:codetect:problem:cursor-invalid")


async def test_tags_and_folders_in_use_are_listed_with_how_many(tiny: str, facility: Facility, other: Facility) -> None:
    (reader,) = readers(facility, 1)
    first, second = [await received(facility) for _ in range(2)]
    await bulk(reader, [first, second], "organise", add_tags=["round", "ward 3"], folder="March")
    await bulk(reader, [second], "organise", remove_tags=["round"], folder=None)
    assert await facets(reader) == {"tags": {"round": 1, "ward 3": 2}, "folders": {"March": 1}, "findings": {}}
    assert await ids(reader, tag="ward 3") == [second, first]
    assert await ids(reader, tag="round", folder="March") == [first]
    assert await facets(readers(other, 1)[0]) == {"tags": {}, "folders": {}, "findings": {}}
    assert (await reader.ask("DELETE", f"/analyses/{first}")).status_code == 204
    assert (await facets(reader))["tags"] == {"ward 3": 1}


async def test_several_are_changed_at_once_and_each_that_can_not_be_says_why(
    tiny: str, facility: Facility, other: Facility, house: House
) -> None:
    (reader,) = readers(facility, 1)
    waiting, also, done = [await received(facility) for _ in range(3)]
    theirs, nowhere = await received(other), uuid7()
    await house.sql("UPDATE analyses SET status = 'completed' WHERE id = $1", done)
    items = await bulk(reader, [waiting, theirs, done, nowhere, also], "cancel")
    assert [UUID(one["id"]) for one in items] == [waiting, theirs, done, nowhere, also]
    assert [(one["analysis"] or {}).get("status") for one in items] == ["cancelled", None, None, None, "cancelled"]
    codes = [(one["problem"] or {}).get("code") for one in items]
    assert codes == [None, NOT_THERE, WRONG_STATE, NOT_THERE, None]
    again = await bulk(reader, [waiting, done, also], "rerun")
    assert [(one["analysis"] or {}).get("status") for one in again] == ["queued", None, "queued"]
    assert [what for what, _ in await house.told(waiting)] == ["queued", "cancelled", "queued"]
    audited = await house.sql(
        "SELECT action, target FROM audit WHERE facility_id = $1 AND action LIKE 'analysis.%' ORDER BY sequence",
        facility.id,
    )
    assert [tuple(row) for row in audited if row["target"] == f"analysis/{also}"] == [
        ("analysis.cancel", f"analysis/{also}"),
        ("analysis.rerun", f"analysis/{also}"),
    ]
    assert not [row for row in audited if row["target"] in (f"analysis/{done}", f"analysis/{theirs}")]
    assert await ids(readers(other, 1)[0], status="queued") == [theirs]


async def test_what_is_organised_is_told_without_what_was_written(tiny: str, facility: Facility, house: House) -> None:
    (reader,) = readers(facility, 1)
    one = await received(facility)
    (changed,) = await bulk(reader, [one], "organise", add_tags=["ward 3"], priority="urgent")
    assert (changed["analysis"]["tags"], changed["analysis"]["priority"]) == (["ward 3"], "urgent")
    await bulk(reader, [one], "organise", add_tags=["ward 3"])  # nothing new: nothing told
    told = [data["changed"] for what, data in await house.told(one) if what == "organised"]
    assert told == [["tags", "priority"]]
    back = await reader.ask("PATCH", f"/analyses/{one}", json={"priority": "routine"})
    assert (back.json()["priority"], back.json()["tags"]) == ("routine", ["ward 3"])
    (row,) = await house.sql("SELECT priority FROM analyses WHERE id = $1", one)
    assert row["priority"] == 1


async def test_more_tags_than_an_analysis_holds_are_refused_for_it_alone(tiny: str, facility: Facility) -> None:
    (reader,) = readers(facility, 1)
    full, empty = [await received(facility) for _ in range(2)]
    await bulk(reader, [full], "organise", add_tags=[f"tag {n}" for n in range(20)])
    items = await bulk(reader, [full, empty], "organise", add_tags=["one more"])
    assert [(one["problem"] or {}).get("code") for one in items] == ["too-many-tags", None]
    assert await ids(reader, tag="one more") == [empty]


async def test_who_only_reads_changes_none(tiny: str, facility: Facility) -> None:
    one = await received(facility)
    viewer = Reader(facility, uuid7(), Role.VIEWER)
    answer = await viewer.ask("POST", "/analyses/bulk", json={"ids": [str(one)], "do": "cancel"})
    assert answer.status_code == 403
    for body in (
        {"ids": [], "do": "cancel"},
        {"ids": [str(one)], "do": "delete"},
        {"ids": [str(one)] * 201, "do": "cancel"},
    ):
        assert (await readers(facility, 1)[0].ask("POST", "/analyses/bulk", json=body)).status_code == 422


async def test_bulk_waits_for_who_settles_a_study_before_it_locks_anything(facility: Facility) -> None:
    one = await received(facility)
    (reader,) = readers(facility, 1)
    async with facility.house.db.facility(facility.id) as worker:
        row = await worker.get_one(Analysis, one)
        await superseding.hold(worker, row.study_id)
        changing = asyncio.create_task(bulk(reader, [one], "organise", add_tags=["round"]))
        await asyncio.sleep(0.5)
        assert not changing.done()
        await worker.scalar(select(Analysis).where(Analysis.id == one).with_for_update(nowait=True))
    (changed,) = await changing
    assert changed["analysis"]["tags"] == ["round"]


async def test_a_worker_that_passed_over_what_bulk_held_is_told_to_look(facility: Facility) -> None:
    one = await received(facility)
    (reader,) = readers(facility, 1)
    looks = "SELECT event_id FROM outbox WHERE subject = $1 AND queue = $2"
    before = await facility.house.sql(looks, str(one), topology.ANALYSES_TO_RUN)
    await bulk(reader, [one], "organise", priority="urgent")
    assert len(await facility.house.sql(looks, str(one), topology.ANALYSES_TO_RUN)) == len(before) + 1
