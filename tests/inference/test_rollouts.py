"""Several versions of a model at once: which one reads which study, what nobody may see, and the way back."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from codetect.models import Comparison, RegisteredModel, Rollout
from codetect_inference import serving, shadows
from codetect_inference.comparing import overall
from codetect_inference.model_schemas import ComparisonOut
from codetect_inference.models import ANALYSES, Analysis
from codetect_shared.db import uuid7
from codetect_shared.jobs import ROUTINE
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role
from sqlalchemy import select

from tests.inference.conftest import ANOTHER, Facility, House, Working, damaged, do, lung, series
from tests.inference.samples import bundle_files, unrunnable
from tests.inference.test_worker import analysing, settled


async def read_by(facility: Facility, **changes: Any) -> str:
    """The version that a study is given to."""
    event = await facility.receive(series(), **changes)
    (found,) = await facility.analyses(event.study_id)
    return found.model_version


async def hidden(house: House, of: Facility) -> list[Analysis]:
    """A facility's shadow analyses, which only the platform can look up."""
    async with house.db.system() as session:
        found = await session.scalars(select(Analysis).where(Analysis.shadow_for == of.id).order_by(Analysis.id))
        return list(found)


async def told(house: House, kind: str) -> list[Any]:
    rows = await house.sql("SELECT data FROM outbox WHERE type = $1 ORDER BY id", f"codetect.model.{kind}.v1")

    return [json.loads(row["data"]) for row in rows]


async def test_a_registered_version_waits_until_it_is_activated(versions: str, facility: Facility) -> None:
    assert await read_by(facility) == "0.1.0"
    made = await do(facility, "activate", "0.2.0")
    assert (made["kind"], made["facility_id"], made["before"]) == ("active", None, "0.1.0")
    assert await read_by(facility) == "0.2.0"
    items = (await facility.ask("GET", "/models", Role.VIEWER)).json()["items"]
    assert {one["version"]: one["serves"] for one in items} == {"0.1.0": False, "0.2.0": True, "0.3.0": False}


async def test_a_facility_has_a_version_of_its_own(
    versions: str, facility: Facility, other: Facility, house: House
) -> None:
    await do(facility, "activate", "0.2.0", facility_id=str(other.id))
    assert (await read_by(facility), await read_by(other)) == ("0.1.0", "0.2.0")
    await do(facility, "activate", "0.3.0")
    assert (await read_by(facility), await read_by(other)) == ("0.3.0", "0.2.0")
    back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={"facility_id": str(other.id)})
    assert (back.json()["version"], back.json()["facility_id"]) == ("0.3.0", None)
    assert await read_by(other) == "0.3.0"
    async with house.db.facility(other.id) as session:  # another's arrangement is none of theirs
        seen = {rollout.for_facility for rollout, _ in await serving.standing(session, facility.id)}
    assert seen == {None}


async def test_rolling_back_is_one_call_and_goes_back_step_by_step(
    versions: str, facility: Facility, house: House
) -> None:
    for version in ANOTHER:
        await do(facility, "activate", version)
    for serves in ("0.2.0", "0.1.0"):
        back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={})
        assert (back.status_code, back.json()["version"]) == (200, serves)
        assert await read_by(facility) == serves
    none = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={})
    assert (none.status_code, none.json()["type"]) == (409, "urn:codetect:problem:nothing-before")
    assert await read_by(facility) == "0.1.0"
    assert [(one["version"], one["back_to"]) for one in (await told(house, "rolled_back"))[-2:]] == [
        ("0.3.0", "0.2.0"),
        ("0.2.0", "0.1.0"),
    ]
    done = await house.sql("SELECT action, target FROM audit WHERE facility_id = $1 ORDER BY sequence", facility.id)
    assert [tuple(row) for row in done][-4:] == [
        ("model.activate", "model/tiny/0.2.0"),
        ("model.activate", "model/tiny/0.3.0"),
        ("model.roll-back", "model/tiny/0.3.0"),
        ("model.roll-back", "model/tiny/0.2.0"),
    ]


async def test_activating_twice_is_done_once(versions: str, facility: Facility, house: House) -> None:
    first = await do(facility, "activate", "0.2.0")
    before = len(await told(house, "activated"))
    assert await do(facility, "activate", "0.2.0") == first
    assert len(await told(house, "activated")) == before


async def test_a_canary_reads_its_share_the_same_study_always_alike(versions: str, facility: Facility) -> None:
    await do(facility, "canary", "0.2.0", share=30)
    studies = [uuid7() for _ in range(60)]
    chosen = {study: await read_by(facility, study_id=study) for study in studies}
    assert chosen == {study: "0.2.0" if serving.place("tiny", study) < 30 else "0.1.0" for study in studies}
    assert set(chosen.values()) == {"0.1.0", "0.2.0"}
    (again,) = [study for study in studies if chosen[study] == "0.2.0"][:1]
    event = await facility.receive(series(), study_id=again, version=2)
    assert [one.model_version for one in await facility.analyses(event.study_id)] == ["0.2.0", "0.2.0"]
    await do(facility, "canary", "0.2.0", share=0)
    assert {await read_by(facility) for _ in range(5)} == {"0.1.0"}
    await do(facility, "canary", "0.2.0", share=100)
    assert {await read_by(facility) for _ in range(5)} == {"0.2.0"}


async def test_rolling_back_ends_a_canary_first(versions: str, facility: Facility) -> None:
    await do(facility, "activate", "0.2.0")
    await do(facility, "canary", "0.3.0", share=100)
    assert await read_by(facility) == "0.3.0"
    back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={})
    assert back.json()["version"] == await read_by(facility) == "0.2.0"


async def test_a_canary_that_is_activated_is_a_canary_no_more(versions: str, facility: Facility) -> None:
    await do(facility, "canary", "0.2.0", share=10)
    await do(facility, "shadow", "0.3.0")
    await do(facility, "activate", "0.2.0")
    items = (await facility.ask("GET", "/models/rollouts", Role.OPERATOR)).json()["items"]
    assert [(one["kind"], one["version"], one["before"]) for one in items if one["name"] == "tiny"] == [
        ("active", "0.2.0", "0.1.0"),
        ("shadow", "0.3.0", None),
    ]


def test_shares_are_kept_and_only_grow() -> None:
    studies = [uuid7() for _ in range(4000)]
    places = [serving.place("tiny", study) for study in studies]
    assert all(0 <= place < 100 for place in places)
    for share in (1, 10, 50, 90):
        assert abs(sum(place < share for place in places) / len(places) * 100 - share) < 3
    assert places != [serving.place("other", study) for study in studies]


async def test_a_shadow_reads_the_same_study_and_nobody_sees_it(
    versions: str, facility: Facility, house: House, working: Working
) -> None:
    await do(facility, "shadow", "0.2.0")
    event = await facility.receive(await facility.store(lung(4)))
    (one,) = await hidden(house, facility)
    assert (one.study_id, one.model_version, one.priority) == (event.study_id, "0.2.0", ROUTINE + 1)
    async with working():
        (shown,) = await settled(facility, event.study_id)
        while (await hidden(house, facility))[0].status != "completed":  # noqa: ASYNC110
            await settled(facility, event.study_id)
    (one,) = await hidden(house, facility)
    assert (shown.model_version, shown.status, one.status) == ("0.1.0", "completed", "completed")
    assert (one.positive, one.documents) == (["grey"], [])
    for role in (Role.ADMIN, Role.OPERATOR):
        items = (await facility.ask("GET", "/analyses", role)).json()["items"]
        assert [item["id"] for item in items] == [str(shown.id)]
        for path in ("", "/slices", "/slices/0/image.png", "/slices/0/pixels", "/slices/0/heatmap.png", "/report.dcm"):
            assert (await facility.ask("GET", f"/analyses/{one.id}{path}", role)).status_code == 404
    assert (await facility.ask("POST", f"/analyses/{one.id}/cancel", Role.ADMIN)).status_code == 404
    assert await house.told(one.id) == []
    assert [what for what, _ in await house.told(shown.id)][-1] == "completed"


async def test_a_shadow_waits_for_everything_that_is_shown(versions: str, facility: Facility, house: House) -> None:
    await do(facility, "shadow", "0.2.0")
    await facility.receive(series())
    await facility.receive(series())
    order = []
    while job := await ANALYSES.claim(house.db):
        order.append(job.shadow_for is not None)
    assert order == [False, False, True, True]


async def test_shadows_go_with_the_study_and_with_the_result(versions: str, facility: Facility, house: House) -> None:
    await do(facility, "shadow", "0.2.0")
    erased, deleted = [await facility.receive(series()) for _ in range(2)]
    await facility.erase(erased.study_id)
    (left,) = await hidden(house, facility)
    assert left.study_id == deleted.study_id
    (shown,) = await facility.analyses(deleted.study_id)
    assert (await facility.ask("DELETE", f"/analyses/{shown.id}")).status_code == 204
    assert await hidden(house, facility) == []
    gone = await house.sql("SELECT 1 FROM removals WHERE facility_id = $1", shadows.hidden_facility(facility.id))
    assert len(gone) == 2


async def test_a_shadow_of_each_version_of_a_study_once(versions: str, facility: Facility, house: House) -> None:
    await do(facility, "shadow", "0.2.0")
    event = await facility.receive(series())
    await do(facility, "activate", "0.3.0")
    ask = {"study_id": str(event.study_id), "model": "tiny"}
    assert (await facility.ask("POST", "/analyses", json=ask)).json()["model"]["version"] == "0.3.0"
    await facility.receive(series(), study_id=event.study_id, version=2)
    found = await hidden(house, facility)
    assert [(one.study_version, one.superseded) for one in found] == [(1, True), (2, False)]


async def test_what_a_shadow_found_is_compared_with_what_was_shown(
    versions: str, facility: Facility, other: Facility, house: House, working: Working
) -> None:
    await do(facility, "shadow", "0.3.0")
    stored = [(place, await place.store(lung(4))) for place in (facility, facility, other)]
    events = [(place, await place.receive(one)) for place, one in stored]
    async with working():
        for place, event in events:
            (shown,) = await settled(place, event.study_id)
        while {one.status for of in (facility, other) for one in await hidden(house, of)} != {"completed"}:  # noqa: ASYNC110
            await settled(other, events[-1][1].study_id)
    answer = await facility.ask("GET", "/models/tiny/0.3.0/comparison", Role.OPERATOR)
    found = answer.json()
    (everywhere,) = found["overall"]
    assert (everywhere["studies"], everywhere["against"], everywhere["label"]) == (3, "0.1.0", "grey")
    mine = next(one for one in found["items"] if one["facility_id"] == str(facility.id))
    (finding,) = shown.findings
    assert mine["studies"] == 2
    assert mine["positive_candidate"] == mine["positive_both"] == 0
    assert mine["agreement"] == (0 if finding["positive"] else 1)
    assert mine["mean_absolute_difference"] == pytest.approx(finding["probability"], abs=0.01)
    assert {(one["facility_id"], one["analyses"]) for one in found["states"]} == {
        (str(facility.id), 2),
        (str(other.id), 1),
    }
    assert (await facility.ask("GET", "/models/tiny/0.3.0/comparison", Role.ADMIN)).status_code == 403
    assert (await facility.ask("DELETE", "/models/tiny/0.3.0/shadow", Role.OPERATOR)).status_code == 204
    assert (await facility.ask("DELETE", "/models/tiny/0.3.0/shadow", Role.OPERATOR)).status_code == 404
    await facility.receive(series())
    assert len(await hidden(house, facility)) == 2


def test_facilities_taken_together_count_each_study_once() -> None:
    def one(studies: int, agreement: float) -> ComparisonOut:
        facts: dict[str, Any] = dict.fromkeys(("positive_shown", "positive_candidate", "positive_both"), studies)
        facts |= {"against": "1.0.0", "label": "grey", "mean_absolute_difference": agreement / 2}
        return ComparisonOut(facility_id=uuid7(), studies=studies, agreement=agreement, **facts)

    (found,) = overall([one(30, 0.9), one(10, 0.5)])
    assert (found.studies, found.agreement, found.positive_both) == (40, pytest.approx(0.8), 40)
    assert found.mean_absolute_difference == pytest.approx(0.4)


@pytest.fixture
async def broken(versions: str, facility: Facility, house: House) -> AsyncIterator[str]:
    """0.2.0, activated when it was sound; now its file in the store is another."""
    await do(facility, "activate", "0.2.0")
    async with damaged(house, "0.2.0"):
        yield "0.2.0"


async def test_a_worker_that_cannot_load_a_version_goes_on_with_the_one_before_and_says_so(
    broken: str, facility: Facility, house: House, working: Working
) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    async with working() as worker:
        (found,) = await settled(facility, event.study_id)
        facts = (await worker.get("/readyz")).json()
        figures = (await worker.get("/metrics")).text
    assert (found.status, found.model_version) == ("completed", "0.1.0")
    (model,) = await house.sql("SELECT sha256 FROM models WHERE version = '0.1.0'")
    assert found.model_sha256 == model["sha256"]
    assert "isn't the file" in facts["refused"]["tiny 0.2.0"]
    assert 'codetect_model_refused{model="tiny",version="0.2.0"} 1.0' in figures
    assert 'codetect_model_fallbacks_total{model="tiny",version="0.1.0",wanted="0.2.0"}' in figures
    (_, completed) = (await house.told(found.id))[-1]
    assert completed["model_version"] == "0.1.0"


async def test_a_damaged_version_is_not_activated_and_what_served_goes_on(
    broken: str, facility: Facility, other: Facility
) -> None:
    answer = await facility.ask(
        "POST", f"/models/tiny/{broken}/activate", Role.OPERATOR, json={"facility_id": str(other.id)}
    )
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:model-does-not-run")
    assert "What served before goes on" in answer.json()["detail"]
    back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={})
    assert back.json()["version"] == await read_by(other) == "0.1.0"


async def test_a_bundle_that_does_not_run_is_not_even_registered(tiny: str, facility: Facility) -> None:
    answer = await facility.register(bundle_files(unrunnable(), version="0.9.0"))
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle_model_unusable")
    assert "NoSuchOperator" in answer.json()["detail"]
    assert await read_by(facility) == "0.1.0"


async def test_a_version_out_of_service_takes_no_part(versions: str, facility: Facility) -> None:
    out = await facility.ask("PATCH", "/models/tiny/0.2.0", Role.OPERATOR, json={"active": False})
    assert out.json()["serves"] is False
    answer = await facility.activate("0.2.0")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:model-out-of-service")
    assert (await facility.activate("9.9.9")).status_code == 404


async def test_another_takes_the_place_of_a_candidate_that_went_out_of_service(
    versions: str, facility: Facility, house: House
) -> None:
    await do(facility, "shadow", "0.2.0")
    await do(facility, "canary", "0.3.0", share=100)
    before = [len(await told(house, kind)) for kind in ("shadow_ended", "canary_ended")]
    for version in ANOTHER:
        out = await facility.ask("PATCH", f"/models/tiny/{version}", Role.OPERATOR, json={"active": False})
        assert out.is_success
    left = await facility.ask("GET", "/models/rollouts", Role.OPERATOR)
    assert [one["kind"] for one in left.json()["items"]] == ["active"]
    assert [len(await told(house, kind)) for kind in ("shadow_ended", "canary_ended")] == [one + 1 for one in before]
    back = await facility.ask("PATCH", "/models/tiny/0.3.0", Role.OPERATOR, json={"active": True})
    assert back.is_success
    assert (await do(facility, "shadow", "0.3.0"))["kind"] == "shadow"
    assert await read_by(facility) == "0.1.0"


async def test_keeping_out_of_a_canary_is_no_step_to_roll_back(
    versions: str, facility: Facility, other: Facility
) -> None:
    await do(facility, "activate", "0.2.0", facility_id=str(other.id))
    await do(facility, "canary", "0.3.0", share=100)
    await do(facility, "canary", "0.3.0", share=0, facility_id=str(other.id))
    assert await read_by(other) == "0.2.0"
    back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={"facility_id": str(other.id)})
    assert back.json()["version"] == await read_by(other) == "0.1.0"
    assert await read_by(facility) == "0.3.0"


async def test_an_unsigned_version_is_no_way_back(versions: str, facility: Facility, house: House) -> None:
    await do(facility, "activate", "0.2.0")
    await house.sql("UPDATE models SET signed_by = NULL WHERE version = '0.1.0'")
    back = await facility.ask("POST", "/models/tiny/rollback", Role.OPERATOR, json={})
    assert (back.status_code, back.json()["type"]) == (409, "urn:codetect:problem:nothing-before")
    again = await facility.ask("PATCH", "/models/tiny/0.1.0", Role.OPERATOR, json={"active": True})
    assert (again.status_code, again.json()["type"]) == (409, "urn:codetect:problem:model-does-not-run")
    assert await read_by(facility) == "0.2.0"


async def test_deleting_an_old_result_leaves_the_newer_versions_shadow(
    versions: str, facility: Facility, house: House
) -> None:
    await do(facility, "shadow", "0.2.0")
    event = await facility.receive(series())
    await facility.receive(series(), study_id=event.study_id, version=2)
    old = next(one for one in await facility.analyses(event.study_id) if one.study_version == 1)
    assert (await facility.ask("DELETE", f"/analyses/{old.id}")).status_code == 204
    assert [one.study_version for one in await hidden(house, facility)] == [2]


async def test_a_bundle_kept_from_before_it_was_signed_anew_is_fetched_again(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    (model,) = await house.sql("SELECT * FROM models")
    folder = tmp_path / model["sha256"]
    folder.mkdir()
    for name in ("bundle.json", "model.onnx"):
        content = await house.storage.get("models", f"{tiny}/{model['version']}/{model['sha256']}/{name}")
        (folder / name).write_bytes(content)
    await facility.receive(await facility.store(lung(4)))
    async with analysing(house, tmp_path) as worker:
        job = await claimed(ANALYSES, house.db)
        await worker.run(job)
    (found,) = await facility.analyses(job.study_id)
    assert found.status == "completed"


async def test_studies_wait_for_a_version_that_was_registered_unsigned(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    (model,) = await house.sql("SELECT * FROM models")
    prefix = f"{model['name']}/{model['version']}/{model['sha256']}"
    await house.storage.remove("models", [f"{prefix}/model.sig"])
    await house.sql("UPDATE models SET signed_by = NULL")
    event = await facility.receive(await facility.store(lung(4)))
    async with analysing(house, tmp_path) as worker:
        await worker.run(await claimed(ANALYSES, house.db))
        (row,) = await house.sql("SELECT attempts, available_at > now() + interval '30 s' AS later FROM analyses")
        assert (row["attempts"], row["later"]) == (0, True)
        again = await facility.register(bundle_files())
        assert (again.status_code, again.json()["signed_by"]) == (200, model["signed_by"])
        await house.sql("UPDATE analyses SET available_at = now()")
        await worker.run(await claimed(ANALYSES, house.db))
    (found,) = await facility.analyses(event.study_id)
    assert found.status == "completed"


async def test_a_result_names_all_that_made_it(tiny: str, facility: Facility, house: House, working: Working) -> None:
    event = await facility.receive(await facility.store(lung(4)))
    async with working():
        (row,) = await settled(facility, event.study_id)
    one = (await facility.ask("GET", f"/analyses/{row.id}")).json()
    (model,) = await house.sql("SELECT * FROM models")
    assert one["provider"] == "cpu"
    assert one["model"] == {
        "name": "tiny",
        "version": "0.1.0",
        "sha256": model["sha256"],
        "title": "For tests",
        "preprocessing": {"side": 32, "level_hu": -600, "width_hu": 1500, "margin": 0.2},
    }


async def test_loaded_ahead_is_what_new_studies_need_the_active_first(
    versions: str, facility: Facility, other: Facility, house: House
) -> None:
    await do(facility, "shadow", "0.3.0", facility_id=str(other.id))
    await do(facility, "canary", "0.2.0", share=5)
    async with house.db.system() as session:
        assert [model.version for model in await serving.in_use(session)] == ["0.1.0", "0.3.0", "0.2.0"]


def test_a_hidden_facility_is_nobodys_and_always_the_same() -> None:
    facility = uuid7()
    assert shadows.hidden_facility(facility) == shadows.hidden_facility(UUID(str(facility))) != facility


async def test_the_client_reads_what_is_answered(versions: str, facility: Facility) -> None:
    active = Rollout.model_validate(await do(facility, "activate", "0.2.0"))
    assert (active.kind, active.version, active.before) == ("active", "0.2.0", "0.1.0")
    canary = Rollout.model_validate(await do(facility, "canary", "0.3.0", share=5, facility_id=str(facility.id)))
    assert (canary.share, canary.facility_id) == (5, facility.id)
    listed = (await facility.ask("GET", "/models/rollouts", Role.OPERATOR)).json()["items"]
    assert [Rollout.model_validate(one).kind for one in listed if one["name"] == versions] == ["active", "canary"]
    compared = (await facility.ask("GET", "/models/tiny/0.3.0/comparison", Role.OPERATOR)).json()
    assert Comparison.model_validate(compared).overall == []
    models = [RegisteredModel.model_validate(one) for one in (await facility.ask("GET", "/models")).json()["items"]]
    assert {one.version: one.serves for one in models} == {"0.1.0": False, "0.2.0": True, "0.3.0": True}
    assert all(one.signed_by for one in models)
