"""What takes a result's place: another result, never a failure; and newer images at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from codetect_inference import superseding
from codetect_inference.models import ANALYSES, Analysis
from codetect_shared.testing import claimed
from sqlalchemy import update

from tests.inference.conftest import Facility, House, damaged, do, lung
from tests.inference.test_worker import analysing

Work = Callable[[], Awaitable[UUID]]


@pytest.fixture
async def work(house: House, tmp_path: Path) -> AsyncIterator[Work]:
    """Run the analysis that is next, to its end: its id."""
    async with analysing(house, tmp_path) as worker:

        async def run() -> UUID:
            job = await claimed(ANALYSES, house.db)
            await worker.run(job)
            return job.id

        yield run


async def asked(facility: Facility, study_id: UUID) -> tuple[int, dict[str, Any]]:
    answer = await facility.ask("POST", "/analyses", json={"study_id": str(study_id), "model": "tiny"})
    assert answer.is_success, answer.text
    return answer.status_code, answer.json()


async def standing(facility: Facility, study_id: UUID) -> list[tuple[str, str, bool]]:
    """Version, state, and whether it is superseded, of each analysis of a study, as people are told."""
    items = (await facility.ask("GET", "/analyses", params={"study_id": str(study_id)})).json()["items"]
    return sorted((one["model"]["version"], one["status"], one["superseded"]) for one in items)


async def test_a_result_of_a_version_that_stepped_in_outlasts_asking_again_in_vain(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    await do(facility, "activate", "0.2.0")
    event = await facility.receive(await facility.store(lung(4)))
    async with damaged(house, "0.2.0"):
        await work()
        assert await standing(facility, event.study_id) == [("0.1.0", "completed", False)]
        code, again = await asked(facility, event.study_id)
        assert (code, again["model"]["version"]) == (201, "0.2.0")
        await work()
        ended = [("0.1.0", "completed", False), ("0.2.0", "failed", False)]
        assert await standing(facility, event.study_id) == ended
        code, same = await asked(facility, event.study_id)
        assert (code, same["id"], same["error"]["code"]) == (200, again["id"], "model_unusable")
        assert await standing(facility, event.study_id) == ended
    assert (await facility.ask("POST", f"/analyses/{again['id']}/rerun")).status_code == 202
    await work()
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", True), ("0.2.0", "completed", False)]


async def test_asking_again_for_what_cannot_be_loaded_never_leads_to_an_older_version_than_the_one_that_read(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    await do(facility, "activate", "0.2.0")
    await do(facility, "activate", "0.3.0")
    event = await facility.receive(await facility.store(lung(4)))
    async with damaged(house, "0.3.0"):
        await work()
        for code in (201, 200, 200):
            assert (await asked(facility, event.study_id))[0] == code
            if code == 201:
                await work()
    assert await standing(facility, event.study_id) == [("0.2.0", "completed", False), ("0.3.0", "failed", False)]


async def test_a_version_that_failed_is_passed_over_by_what_steps_in(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    await do(facility, "activate", "0.2.0")
    event = await facility.receive(await facility.store(lung(4)))
    (failing,) = await facility.analyses(event.study_id)
    assert (await facility.ask("POST", f"/analyses/{failing.id}/cancel")).is_success
    await do(facility, "activate", "0.3.0")
    async with damaged(house, "0.3.0"):
        await asked(facility, event.study_id)
        await work()
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", False), ("0.2.0", "cancelled", True)]


async def test_a_result_stays_until_another_takes_its_place(versions: str, facility: Facility, work: Work) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    await work()
    await do(facility, "activate", "0.2.0")
    await asked(facility, event.study_id)
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", False), ("0.2.0", "queued", False)]
    await work()
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", True), ("0.2.0", "completed", False)]


async def test_newer_images_supersede_a_result_at_once_even_if_nothing_can_be_read_from_them(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    await work()
    newer = await facility.store(lung(6))
    await facility.receive(newer, study_id=event.study_id, version=2)
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", True), ("0.1.0", "queued", False)]
    await house.storage.remove("studies", [newer.volume_key])
    await work()
    assert await standing(facility, event.study_id) == [("0.1.0", "completed", True), ("0.1.0", "failed", False)]


async def test_the_database_itself_refuses_a_second_visible_result(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    await work()
    await do(facility, "activate", "0.2.0")
    await asked(facility, event.study_id)
    with pytest.raises(asyncpg.UniqueViolationError, match="analyses_current"):
        await house.sql("UPDATE analyses SET status = 'completed' WHERE status = 'queued'")


async def asked_twice(facility: Facility) -> tuple[UUID, list[Analysis]]:
    """A study with two analyses that wait: of 0.1.0, and of 0.2.0 that was asked for later."""
    event = await facility.receive(await facility.store(lung(4)))
    await do(facility, "activate", "0.2.0")
    await asked(facility, event.study_id)
    assert await standing(facility, event.study_id) == [("0.1.0", "queued", True), ("0.2.0", "queued", False)]
    return event.study_id, await facility.analyses(event.study_id)


async def test_what_was_superseded_while_it_waited_is_the_result_if_the_newer_one_comes_to_nothing(
    versions: str, facility: Facility, work: Work
) -> None:
    study_id, (older, newer) = await asked_twice(facility)
    assert (await facility.ask("POST", f"/analyses/{newer.id}/cancel")).is_success
    assert await work() == older.id
    assert await standing(facility, study_id) == [("0.1.0", "completed", False), ("0.2.0", "cancelled", False)]
    assert (await facility.ask("POST", f"/analyses/{newer.id}/rerun")).status_code == 202
    await work()
    assert await standing(facility, study_id) == [("0.1.0", "completed", True), ("0.2.0", "completed", False)]


async def test_a_result_that_comes_late_stays_behind_the_newer_one(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    study_id, (older, newer) = await asked_twice(facility)
    await house.sql("UPDATE analyses SET available_at = now() + interval '1 h' WHERE id = $1", older.id)
    assert await work() == newer.id
    await house.sql("UPDATE analyses SET available_at = now() WHERE id = $1", older.id)
    assert await work() == older.id
    assert await standing(facility, study_id) == [("0.1.0", "completed", True), ("0.2.0", "completed", False)]


async def test_a_result_waits_for_who_settles_the_study_and_holds_no_row_meanwhile(
    versions: str, facility: Facility, house: House, work: Work
) -> None:
    study_id, (older, newer) = await asked_twice(facility)
    waiting = """
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
    """
    async with house.db.facility(facility.id) as session:
        await superseding.hold(session, study_id)
        working = asyncio.create_task(work())
        async with asyncio.timeout(20):
            while not await house.sql(waiting):
                await asyncio.sleep(0.05)
        await session.execute(update(Analysis).where(Analysis.study_id == study_id).values(folder="held"))
    assert await working == older.id
    found = {one.id: one for one in await facility.analyses(study_id)}
    assert (found[older.id].status, found[older.id].superseded, found[older.id].folder) == ("completed", False, "held")
    assert (found[newer.id].status, found[newer.id].superseded) == ("queued", False)


async def test_a_late_result_of_fewer_images_stays_superseded(versions: str, facility: Facility, work: Work) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    await facility.receive(await facility.store(lung(6)), study_id=event.study_id, version=2)
    for _ in range(2):
        await work()
    found = await facility.analyses(event.study_id)
    assert {(one.study_version, one.status, one.superseded) for one in found} == {
        (1, "completed", True),
        (2, "completed", False),
    }
