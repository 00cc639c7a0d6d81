"""An erased study takes everything of it along, whatever is away or late, and does not come back."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from codetect_inference import removals
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.removals import sweep
from codetect_shared import bus, outbox, topology
from codetect_shared.db import uuid7
from codetect_shared.events import Event, StudyErased
from codetect_shared.jobs import LeaseLost
from codetect_shared.storage import Storage, StorageUnavailable
from codetect_shared.testing import claimed
from sqlalchemy import func, select, update

from tests.inference.conftest import Facility, House, lung, received, series
from tests.inference.test_worker import Gate, Meddling, analysing, taken_over

TABLES = (
    *("analyses", "studies", "removals", "erasures", "outbox", "inbox", "models"),
    *("feedback", "opinions", "rulings", "watched", "drifts", "notes"),
)


async def read(facility: Facility, house: House, folder: Path) -> Analysis:
    """A study that was read: its analysis."""
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    async with analysing(house, folder) as worker:
        await worker.run(job)
    (analysis,) = await facility.analyses(event.study_id)
    assert analysis.status == "completed"
    return analysis


async def all_sent(house: House, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while await house.sql("SELECT 1 FROM outbox WHERE sent_at IS NULL"):
            await asyncio.sleep(0.05)


async def traces(house: House, *ids: UUID | str) -> dict[str, str]:
    """Where in this service's database one of these still stands, apart from a study's own tombstone."""
    # A "look" holds the id of a job alone, for an hour.
    where = {"outbox": " WHERE queue IS NULL"}
    rows = {
        name: [str(dict(row)) for row in await house.sql(f"SELECT * FROM {name}{where.get(name, '')}")]
        for name in TABLES
    }
    return {name: row for name, those in rows.items() for row in those if any(str(one) in row for one in ids)}


async def tell(facility: Facility, *events: Event) -> None:
    """Events as they come from ingest."""
    async with bus.connect(facility.house.settings.rabbitmq_url, "test") as connection:
        channel = await connection.channel()
        exchange = await topology.declare(channel)
        for event in events:
            data = event.model_dump(mode="json")
            envelope = bus.Envelope(
                uuid7(), event.type, datetime.now(UTC), facility.id, f"study/{data['study_id']}", 1, data
            )
            await bus.publish_all(channel, exchange, [(None, event.type, bus.encode(envelope, "ingest"))])


async def test_nothing_of_it_is_left_but_that_it_was_erased(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    analysis = await read(facility, house, tmp_path)
    await facility.ask("PATCH", f"/analyses/{analysis.id}", json={"tags": ["seen"], "folder": "Ward 3"})
    noted = await facility.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": "Ask again."})
    assert noted.status_code == 201
    await facility.erase(analysis.study_id)
    await all_sent(house)
    await sweep(house.db, house.storage)
    assert await house.storage.list("results", f"{facility.id}/") == []
    for path in ("", "/slices", "/slices/0/image.png", "/slices/0/pixels", "/slices/0/heatmap.png", "/report.dcm"):
        assert (await facility.ask("GET", f"/analyses/{analysis.id}{path}")).status_code == 404
    asked = await facility.ask("POST", "/analyses", json={"study_id": str(analysis.study_id), "model": "tiny"})
    assert asked.status_code == 404
    # What names the prefix to sweep goes with the last sweep of it.
    await house.sql("UPDATE removals SET created_at = created_at - $1::interval", removals.AGAIN_FOR)
    await sweep(house.db, house.storage)
    report_uid = analysis.documents[0]["sop_instance_uid"]
    left = await traces(house, analysis.study_id, analysis.id, analysis.upload_id, report_uid, "Ward 3")
    assert set(left) == {"studies"}
    (tombstone,) = await house.sql("SELECT * FROM studies WHERE id = $1", analysis.study_id)
    assert dict(tombstone) == {
        "id": analysis.study_id,
        "facility_id": facility.id,
        "version": 0,
        "study_instance_uid": None,
        "upload_id": analysis.study_id,
        "priority": 0,
        "series": "[]",
        "erased": True,
        "submitted_by": None,
    }


async def test_what_was_told_of_it_still_says_what_happened(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    analysis = await read(facility, house, tmp_path)
    query = """
        SELECT type, sequence, data, subject FROM outbox
        WHERE facility_id = $1 AND type LIKE 'codetect.analysis.%' ORDER BY id
    """
    before = await house.sql(query, facility.id)
    await facility.erase(analysis.study_id)
    await all_sent(house)
    await sweep(house.db, house.storage)
    after = await house.sql(query, facility.id)
    assert [(row["type"], row["sequence"]) for row in after[: len(before)]] == [
        (row["type"], row["sequence"]) for row in before
    ]
    told = [json.loads(row["data"]) for row in after if "completed" in row["type"]]
    kept = [{name: value for name, value in one.items() if name != "peak"} for one in analysis.findings]
    assert [one["findings"] for one in told] == [kept]
    assert told[0]["documents"] == []
    assert len({row["subject"] for row in after}) == 1, "what happened to one analysis is still one story"


async def test_what_is_not_sent_yet_is_sent_whole_and_forgotten_then(
    tiny: str, facility: Facility, house: House
) -> None:
    event = await facility.receive(series())
    await all_sent(house)
    (there,) = await house.sql("SELECT id FROM outbox WHERE data ->> 'study_id' = $1", str(event.study_id))
    async with house.db.system() as session:
        row = outbox.outbox.c.id == there["id"]
        await session.execute(update(outbox.outbox).where(row).values(sent_at=None))
        assert not await outbox.forget(session, event.study_id, b"k" * 16)
        data = await session.scalar(select(outbox.outbox.c.data).where(row))
        assert data["upload_id"] == str(event.upload_id)
        await session.execute(update(outbox.outbox).where(row).values(sent_at=func.now()))
        assert await outbox.forget(session, event.study_id, b"k" * 16)
    await facility.erase(event.study_id)
    await all_sent(house)
    await sweep(house.db, house.storage)
    assert "outbox" not in await traces(house, event.study_id, event.upload_id)
    assert await house.sql("SELECT * FROM erasures") == []


async def test_a_store_that_is_away_gets_its_objects_removed_when_it_is_back(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    analysis = await read(facility, house, tmp_path)
    gate = Gate(str(house.settings.storage_url))
    await gate.open()
    away = Storage(house.settings.model_copy(update={"storage_url": f"http://127.0.0.1:{gate.port}"}))
    await gate.shut()
    await facility.erase(analysis.study_id)
    await house.sql("UPDATE removals SET created_at = created_at - $1::interval", 2 * removals.AGAIN_FOR)
    with pytest.raises(StorageUnavailable):
        await sweep(house.db, away)
    assert await house.storage.list("results", analysis.results_prefix)
    await gate.open()
    await sweep(house.db, away)
    await gate.shut()
    assert await house.storage.list("results", analysis.results_prefix) == []


async def test_objects_of_every_attempt_go(tiny: str, facility: Facility, house: House, tmp_path: Path) -> None:
    analysis = await read(facility, house, tmp_path)
    for name in ("0/maps.npz", "7/report.dcm", "7/slice-1.dcm"):
        await house.storage.put("results", f"{analysis.results_prefix}{name}", b"left by a killed worker")
    await facility.erase(analysis.study_id)
    await sweep(house.db, house.storage)
    assert await house.storage.list("results", analysis.results_prefix) == []


async def test_what_is_swept_again_keeps_nothing_new_waiting(
    tiny: str, facility: Facility, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removals, "BATCH", 3)
    prefixes = [f"{facility.id}/{uuid7()}/" for _ in range(8)]
    for prefix in prefixes:
        await house.storage.put("results", f"{prefix}1/maps.npz", b"maps")
        statement = "INSERT INTO removals (id, facility_id, prefix, created_at) VALUES ($1, $2, $3, now())"
        await house.sql(statement, uuid7(), facility.id, prefix)
    await sweep(house.db, house.storage)
    assert await house.storage.list("results", f"{facility.id}/") == []


async def test_a_result_that_comes_after_the_erasure_is_refused_whoever_has_it(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    first = await claimed(ANALYSES, house.db)
    second = await taken_over(house, first.id)
    async with analysing(house, tmp_path, Meddling(house, lambda: facility.erase(event.study_id))) as worker:
        for job in (second, first):
            with pytest.raises(LeaseLost):
                await worker.run(job)
    assert await facility.analyses(event.study_id) == []
    assert await house.storage.list("results", f"{facility.id}/") == []


async def test_told_again_it_stays_erased_while_the_same_images_sent_anew_are_read(
    tiny: str, facility: Facility, house: House
) -> None:
    first = received(series())
    await tell(facility, first, StudyErased(study_id=first.study_id), first)
    anew = received(series(), study_instance_uid=first.study_instance_uid)
    await tell(facility, anew)
    async with asyncio.timeout(20):
        while not await facility.analyses(anew.study_id):
            await asyncio.sleep(0.05)
    assert await facility.analyses(first.study_id) == []
    assert await house.sql("SELECT erased FROM studies WHERE id = $1", first.study_id) == [(True,)]


async def test_erased_twice_is_erased(tiny: str, facility: Facility, house: House) -> None:
    event = await facility.receive(series())
    for _ in range(2):
        await facility.erase(event.study_id)
    assert await facility.analyses(event.study_id) == []
    assert await house.sql("SELECT erased FROM studies WHERE id = $1", event.study_id) == [(True,)]
