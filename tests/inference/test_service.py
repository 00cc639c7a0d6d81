"""Studies become analyses: one visible result for a study and a model, whatever arrives in which order."""

import asyncio
from datetime import UTC, datetime

import pytest
from codetect_inference import service
from codetect_inference.failures import WrongState
from codetect_inference.models import ANALYSES, MOVES, Analysis, Status, Study
from codetect_inference.removals import sweep
from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import StudyErased
from codetect_shared.testing import claimed
from codetect_shared.tokens import Principal, Role
from sqlalchemy.exc import IntegrityError

from tests.inference.conftest import Facility, House, received, series
from tests.inference.samples import bundle_files, tiny_model


@pytest.fixture(autouse=True)
async def model(tiny: str) -> str:
    return tiny


async def test_a_study_is_queued_for_the_facilitys_models_with_its_reason(facility: Facility, house: House) -> None:
    chosen = series(body_part="CHEST", slices=40)
    event = await facility.receive(series(plane="coronal"), chosen, priority="urgent")
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.priority, analysis.slices_total) == ("queued", 0, 40)
    assert analysis.series["series_id"] == str(chosen.series_id)
    assert analysis.series_reason == "The only axial CT of 2 series."
    assert (analysis.model_name, analysis.model_version, analysis.upload_ms) == ("tiny", "0.1.0", 1200)
    ((what, told),) = await house.told(analysis.id)
    assert (what, told["study_version"], told["priority"]) == ("queued", 1, "urgent")
    (look,) = await house.sql("SELECT * FROM outbox WHERE queue IS NOT NULL AND subject = $1", str(analysis.id))
    assert look["queue"] == topology.ANALYSES_TO_RUN


async def test_events_of_an_analysis_say_who_sent_the_study_and_how_urgent_it_was(
    facility: Facility, house: House
) -> None:
    sender = uuid7()
    event = await facility.receive(series(plane="coronal"), priority="urgent", submitted_by=sender)
    (analysis,) = await facility.analyses(event.study_id)
    told = dict(await house.told(analysis.id))
    assert told.keys() == {"queued", "failed"}
    assert {(said["submitted_by"], said["priority"]) for said in told.values()} == {(str(sender), "urgent")}


async def test_the_event_comes_through_the_broker_and_counts_once(facility: Facility, house: House) -> None:
    event = received(series())
    envelope = bus.Envelope(
        uuid7(), event.type, datetime.now(UTC), facility.id, f"study/{event.study_id}", 1, event.model_dump(mode="json")
    )
    async with bus.connect(house.settings.rabbitmq_url, "test") as connection:
        channel = await connection.channel()
        exchange = await topology.declare(channel)
        message = bus.encode(envelope, "ingest")
        for _ in range(2):
            await bus.publish_all(channel, exchange, [(None, event.type, message)])
    async with asyncio.timeout(10):
        while not (found := await facility.analyses(event.study_id)):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    assert len(await facility.analyses(event.study_id)) == len(found) == 1


async def test_a_new_version_supersedes_the_old_analysis_which_stays(facility: Facility) -> None:
    first = await facility.receive(series(slices=40))
    await facility.receive(series(slices=80), study_id=first.study_id, version=2)
    old, new = await facility.analyses(first.study_id)
    assert [(a.study_version, a.superseded, a.slices_total) for a in (old, new)] == [(1, True, 40), (2, False, 80)]


async def test_a_late_older_version_is_superseded_from_the_start(facility: Facility) -> None:
    newer = await facility.receive(series(slices=80), version=2)
    await facility.receive(series(slices=40), study_id=newer.study_id, version=1)
    assert {a.study_version: a.superseded for a in await facility.analyses(newer.study_id)} == {2: False, 1: True}
    async with facility.house.db.facility(facility.id) as session:
        study = await session.get(Study, newer.study_id)
        assert study is not None
        assert (study.version, study.series[0]["slices"]) == (2, 80)


async def test_the_database_itself_refuses_a_second_visible_analysis_without_a_result(facility: Facility) -> None:
    event = await facility.receive(series())
    (analysis,) = await facility.analyses(event.study_id)
    twin = {"facility_id": facility.id, "study_id": event.study_id, "upload_id": event.upload_id, "model_name": "tiny"}
    with pytest.raises(IntegrityError, match="analyses_current"):
        async with facility.house.db.facility(facility.id) as session:
            session.add(Analysis(**twin, study_version=2, model_version="9.9.9"))
    assert analysis.superseded is False


async def test_a_newer_model_version_reads_new_studies_and_supersedes_when_asked(facility: Facility) -> None:
    event = await facility.receive(series())
    assert (await facility.register(bundle_files(version="0.2.0"))).status_code == 201
    assert (await facility.activate("0.2.0")).is_success
    answer = await facility.ask("POST", "/analyses", json={"study_id": str(event.study_id), "model": "tiny"})
    assert (answer.status_code, answer.json()["model"]["version"]) == (201, "0.2.0")
    found = await facility.analyses(event.study_id)
    assert {a.model_version: a.superseded for a in found} == {"0.1.0": True, "0.2.0": False}


async def test_models_side_by_side_each_have_their_analysis(facility: Facility) -> None:
    assert (await facility.register(bundle_files(tiny_model(), name="other"))).status_code == 201
    both = await facility.receive(series())
    assert {a.model_name for a in await facility.analyses(both.study_id)} == {"tiny", "other"}
    one = await facility.receive(series(), models=["other", "other"])
    assert [a.model_name for a in await facility.analyses(one.study_id)] == ["other"]


async def test_a_study_without_a_usable_series_fails_in_words(facility: Facility, house: House) -> None:
    event = await facility.receive(series(plane="coronal"))
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.error_code) == ("failed", "no_usable_series")
    assert "axial" in (analysis.error_detail or "")
    assert [what for what, _ in await house.told(analysis.id)] == ["queued", "failed"]
    assert analysis.available_at is None


async def test_an_unknown_model_fails_in_words_beside_the_known_one(facility: Facility) -> None:
    event = await facility.receive(series(), models=["tiny", "nobody-knows"])
    found = {a.model_name: (a.status, a.error_code) for a in await facility.analyses(event.study_id)}
    assert found == {"tiny": ("queued", None), "nobody-knows": ("failed", "unknown_model")}


async def test_without_any_model_the_study_is_not_silent(facility: Facility, house: House) -> None:
    await house.sql("UPDATE models SET active = false")
    event = await facility.receive(series())
    assert [a.error_code for a in await facility.analyses(event.study_id)] == ["no_model"]


async def test_an_erased_study_takes_its_analyses_and_results_along(facility: Facility, house: House) -> None:
    event = await facility.receive(series())
    (analysis,) = await facility.analyses(event.study_id)
    await house.storage.put("results", f"{analysis.results_prefix}1/maps.npz", b"maps")
    await facility.erase(event.study_id)
    assert await facility.analyses(event.study_id) == []
    assert [what for what, _ in await house.told(analysis.id)] == ["queued", "cancelled"]
    await facility.receive(series(), study_id=event.study_id, version=2)
    assert await facility.analyses(event.study_id) == []
    await sweep(house.db, house.storage)
    assert await house.storage.list("results", analysis.results_prefix) == []


async def test_a_study_erased_before_it_was_heard_of_stays_erased(facility: Facility) -> None:
    study_id = uuid7()
    async with facility.house.db.facility(facility.id) as session:
        await service.erase_study(session, facility.id, StudyErased(study_id=study_id))
    await facility.receive(series(), study_id=study_id)
    assert await facility.analyses(study_id) == []


async def test_after_the_last_attempt_an_analysis_fails_and_can_be_run_again(facility: Facility) -> None:
    event = await facility.receive(series())
    (analysis,) = await facility.analyses(event.study_id)
    async with facility.house.db.facility(facility.id) as session:
        row = await ANALYSES.settle(session, analysis)
        await service.fail(session, row, "gave_up")
    async with facility.house.db.facility(facility.id) as session:
        who = Principal("somebody", facility.id, "demo", Role.MEMBER)
        again = await service.rerun(session, who, analysis.id)
        assert (again.status, again.error_code) == ("queued", None)
    job = None
    while job is None or job.id != analysis.id:
        job = await claimed(ANALYSES, facility.house.db)
    assert job.attempts == 1


def test_states_change_as_the_design_says() -> None:
    allowed = {(str(a), str(b)) for a, those in MOVES.items() for b in those}
    for old in Status:
        for new in Status:
            row = Analysis(status=old)
            if (old, new) in allowed:
                row.move(new)
            else:
                with pytest.raises(WrongState):
                    row.move(new)
    assert not MOVES[Status.COMPLETED]
