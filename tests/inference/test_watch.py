"""Watching models: every result is counted once, drift is told once, and one sees one's own studies' numbers alone."""

import asyncio
import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codetect_inference.bundle import Histogram
from codetect_inference.explain import Maps, probabilities
from codetect_inference.models import ANALYSES
from codetect_inference.preprocess import brightness, plan_series, prepare_batch
from codetect_inference.watch.looking import DAYS, PSI, look
from codetect_inference.watch.measures import STUDIES_NEEDED, Band, band_of, bins, psi
from codetect_shared.jobs import LeaseLost
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role

from tests.inference.conftest import Facility, House, Working, lung
from tests.inference.conftest import read as read_hu
from tests.inference.readers import read, readers
from tests.inference.samples import bundle_files, tiny_model
from tests.inference.test_worker import analysing, settled, taken_over

EVEN = {"edges": [0.2, 0.4, 0.6], "shares": [0.25, 0.25, 0.25, 0.25]}
MEASURES = dict.fromkeys(("input_mean", "input_spread", "distance", "score:grey"), EVEN)
WATCHED: dict[str, Any] = {
    "outliers": {"threshold": 0.01, "how": "mean grey"},
    "reference": {"data": "made for tests", "n": 1000, "measures": MEASURES},
}


@pytest.fixture
async def watched(clear: None, facility: Facility, house: House) -> str:
    """A registered model with a reference, which flags whatever isn't black; nothing counted so far."""
    for table in ("watched", "drifts", "looks"):
        await house.sql(f"DELETE FROM {table}")
    assert (await facility.register(bundle_files(tiny_model(distance=True), **WATCHED))).status_code == 201
    return "tiny"


async def counted(facility: Facility) -> dict[str, tuple[list[int], int]]:
    rows = await facility.house.sql(
        "SELECT measure, bins, studies FROM watched WHERE facility_id = $1 AND NOT shadow", facility.id
    )
    return {row["measure"]: (list(row["bins"]), row["studies"]) for row in rows}


async def enter(facility: Facility, counts: list[int], studies: int, *, measure: str = "input_mean") -> None:
    """Yesterday's counts of a measure, whatever they were."""
    await facility.house.sql(
        """
        INSERT INTO watched (facility_id, model_name, model_version, day, measure, shadow, bins, studies)
        VALUES ($1, 'tiny', '0.1.0', (clock_timestamp() AT TIME ZONE 'UTC')::date - 1, $2, false, $3, $4)
        ON CONFLICT (facility_id, model_name, model_version, day, measure, shadow) DO UPDATE SET
            bins = excluded.bins, studies = excluded.studies
        """,
        facility.id,
        measure,
        counts,
        studies,
    )


async def look_today(house: House) -> bool:
    await house.sql("DELETE FROM looks")
    return await look(house.db)


async def drifts_told(facility: Facility) -> list[dict[str, Any]]:
    rows = await facility.house.sql(
        "SELECT data FROM outbox WHERE facility_id = $1 AND type = 'codetect.model.drifted.v1' ORDER BY id",
        facility.id,
    )
    return [json.loads(row["data"]) for row in rows]


async def shown(facility: Facility, role: Role = Role.VIEWER, **params: str) -> dict[str, Any]:
    answer = await facility.ask("GET", "/models/tiny/0.1.0/watch", role, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_value_on_an_edge_lies_above_it_and_none_is_lost() -> None:
    values = np.array([-5, 0.19, 0.2, 0.4, 0.59, 0.6, 99], np.float64).astype(np.float32)
    values[[2, 3, 5]] = [0.25, 0.5, 0.75]
    histogram = Histogram(edges=(0.25, 0.5, 0.75), shares=(0.25,) * 4)
    assert bins(values, histogram) == [2, 1, 2, 2]


def test_psi_is_as_its_formula_says() -> None:
    reference = Histogram(edges=(0.5,), shares=(0.5, 0.5))
    assert psi(reference, 10_000, [5000, 5000]) == pytest.approx(0, abs=1e-9)
    by_hand = (0.8 - 0.5) * np.log(0.8 / 0.5) + (0.2 - 0.5) * np.log(0.2 / 0.5)
    assert psi(reference, 10_000_000, [8_000_000, 2_000_000]) == pytest.approx(by_hand, rel=1e-4)
    assert 1 < psi(reference, 1000, [1000, 0]) < 10, "an empty bin is far, not infinitely far"


def test_bands_are_the_usual_ones_and_few_studies_have_none() -> None:
    assert [band_of(value, STUDIES_NEEDED) for value in (0, 0.099, 0.1, 0.249, 0.25, 9)] == [
        *(Band.STABLE, Band.STABLE, Band.MODERATE, Band.MODERATE, Band.MAJOR, Band.MAJOR)
    ]
    assert band_of(9, STUDIES_NEEDED - 1) == Band.TOO_FEW


async def test_a_result_is_counted_slice_by_slice_as_the_model_saw_it(
    watched: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    analysis = await read(facility, tmp_path, slices=4)
    maps = Maps.unpack(await house.storage.get("results", str(analysis.maps_key)))
    hu = read_hu(lung(4))
    (model,) = (await facility.ask("GET", "/models")).json()["items"]
    from codetect_inference.bundle import Bundle

    bundle = Bundle.model_validate(model["card"])
    plan = plan_series(len(hu), lambda n: hu[n], bundle.preprocessing.margin)
    images = prepare_batch((hu[n] for n in plan.slices), plan.box, bundle.preprocessing)
    np.testing.assert_allclose(maps.inputs, brightness(images), atol=1e-6)
    np.testing.assert_allclose(maps.inputs[:, 0], images.reshape(len(images), -1).mean(1), atol=1e-6)
    even = Histogram.model_validate(EVEN)
    assert await counted(facility) == {
        "input_mean": (bins(maps.inputs[:, 0], even), 1),
        "input_spread": (bins(maps.inputs[:, 1], even), 1),
        "distance": (bins(maps.distances, even), 1),
        "score:grey": (bins(probabilities(bundle, maps.logits)[:, 0], even), 1),
        "out_of_distribution": ([0, 1], 1),
    }
    assert sum((await counted(facility))["input_mean"][0]) == 4


async def test_studies_side_by_side_add_up_and_none_counts_twice(
    watched: str, facility: Facility, house: House, working: Working
) -> None:
    events = [await facility.receive(await facility.store(lung(2))) for _ in range(4)]
    async with working(jobs_in_hand=4):
        await settled(facility, *(event.study_id for event in events))
    found = await counted(facility)
    assert {measure: (sum(n), studies) for measure, (n, studies) in found.items()} == {
        **dict.fromkeys(MEASURES, (8, 4)),
        "out_of_distribution": (4, 4),
    }


async def test_a_result_that_comes_too_late_is_not_counted(
    watched: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    again = await taken_over(house, job.id)
    async with analysing(house, tmp_path) as worker:
        with pytest.raises(LeaseLost):
            await worker.run(job)
        assert await counted(facility) == {}
        await worker.run(again)
    assert {studies for _, studies in (await counted(facility)).values()} == {1}
    await facility.erase(event.study_id)
    assert {studies for _, studies in (await counted(facility)).values()} == {1}, "counts name no study"


async def test_a_model_without_a_reference_says_so(tiny: str, facility: Facility, tmp_path: Path) -> None:
    await read(facility, tmp_path)
    found = await shown(facility)
    assert "no reference" in found["drift"]
    assert (found["measures"], found["out_of_distribution"]) == ([], None)


async def test_a_models_life_is_shown(watched: str, facility: Facility, tmp_path: Path) -> None:
    analysis = await read(facility, tmp_path, slices=4)
    first, second = readers(facility, 2)
    contrary = "absent" if analysis.findings[0]["positive"] else "present"
    found = await shown(facility)
    assert found["out_of_distribution"] == {"studies": 1, "flagged": 1, "share": 1.0}
    one = next(each for each in found["measures"] if each["measure"] == "score:grey")
    assert (one["band"], one["psi"], one["slices"], one["studies"]) == ("too_few", None, 4, 1)
    assert sum(one["seen"]) == pytest.approx(1)
    assert found["agreement"] == []
    row = await first.said(analysis, contrary)
    (line,) = (await shown(facility))["agreement"]
    assert line == {"label": "grey", "confirmed": 0, "corrected": 0, "waiting": 1, "share": None}
    await second.decides(row["id"], contrary)
    (line,) = (await shown(facility))["agreement"]
    assert line == {"label": "grey", "confirmed": 0, "corrected": 1, "waiting": 0, "share": 0.0}
    long_ago = await shown(facility, **{"from": "2026-01-01", "to": "2026-01-31"})
    assert (long_ago["agreement"], long_ago["measures"][0]["slices"]) == ([], 0)


async def test_a_facility_sees_its_own_and_operators_the_sum(watched: str, facility: Facility, other: Facility) -> None:
    await enter(facility, [100, 100, 100, 100], 60)
    await enter(other, [400, 0, 0, 0], 60)

    async def mean(who: Facility, role: Role) -> tuple[str, int, list[float]]:
        measures = (await shown(who, role))["measures"]
        one = next(each for each in measures if each["measure"] == "input_mean")
        return one["band"], one["studies"], one["seen"]

    assert await mean(facility, Role.MEMBER) == ("stable", 60, [0.25] * 4)
    assert await mean(other, Role.ADMIN) == ("major", 60, [1, 0, 0, 0])
    assert await mean(facility, Role.OPERATOR) == ("major", 120, [0.625, 0.125, 0.125, 0.125])
    await look_today(facility.house)
    assert (await shown(facility))["drifting"] == []
    for who, role in ((other, Role.VIEWER), (facility, Role.OPERATOR)):
        (drifting,) = (await shown(who, role))["drifting"]
        assert (drifting["facility_id"], drifting["measure"], drifting["band"]) == (
            str(other.id),
            "input_mean",
            "major",
        )


@pytest.mark.parametrize(
    ("period", "said"),
    [
        ({"from": "2026-02-01", "to": "2026-02-01"}, "`from` must be before `to`"),
        ({"from": "2020-02-01", "to": "2026-02-01"}, "At most 400 days"),
        ({"to": "0001-01-02"}, "too early"),
    ],
)
async def test_days_that_make_no_period_are_refused(
    watched: str, facility: Facility, period: dict[str, str], said: str
) -> None:
    answer = await facility.ask("GET", "/models/tiny/0.1.0/watch", params=period)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


async def test_drift_is_told_once_and_again_only_after_it_came_back(
    watched: str, facility: Facility, house: House
) -> None:
    stable, moderate, major = [100] * 4, [160, 90, 80, 70], [400, 0, 0, 0]

    async def after(counts: list[int], studies: int = 60) -> list[str]:
        await enter(facility, counts, studies)
        assert await look_today(house)
        return [one["band"] for one in await drifts_told(facility)]

    assert await after(stable) == []
    assert await after(major, STUDIES_NEEDED - 1) == []
    assert await after(moderate) == ["moderate"]
    assert await after(moderate) == ["moderate"]
    assert await after(major) == ["moderate", "major"]
    assert await after(moderate) == ["moderate", "major"]
    assert await after(major) == ["moderate", "major"]
    assert await after(stable) == ["moderate", "major"]
    assert await after(moderate) == ["moderate", "major", "moderate"]
    told = (await drifts_told(facility))[0]
    assert told == {
        "facility_id": str(facility.id),
        "model": "tiny",
        "model_version": "0.1.0",
        "measure": "input_mean",
        "band": "moderate",
        "psi": pytest.approx(psi(Histogram.model_validate(EVEN), 1000, moderate), abs=1e-4),
        "studies": 60,
        "slices": 400,
    }
    sample = {tuple(one.labels.values()): one.value for one in next(iter(PSI.collect())).samples}
    assert sample["tiny", "0.1.0", "input_mean"] == pytest.approx(told["psi"], abs=1e-4)


async def test_drift_of_a_version_that_reads_no_more_ends(watched: str, facility: Facility, house: House) -> None:
    await enter(facility, [400, 0, 0, 0], 60)
    await look_today(house)
    assert (await shown(facility))["drifting"]
    await house.sql("DELETE FROM watched")
    await house.sql("UPDATE drifts SET looked_on = looked_on - 1")
    await look_today(house)
    assert (await shown(facility))["drifting"] == []
    assert all(sample.value == 0 for sample in next(iter(PSI.collect())).samples)
    await enter(facility, [400, 0, 0, 0], 60)
    await look_today(house)
    assert [one["band"] for one in await drifts_told(facility)] == ["major", "major"]


async def test_the_look_is_taken_once_a_day_by_one_process(watched: str, facility: Facility, house: House) -> None:
    await enter(facility, [400, 0, 0, 0], 60)
    await house.sql("DELETE FROM looks")
    assert sorted(await asyncio.gather(*(look(house.db) for _ in range(5)))) == [False] * 4 + [True]
    assert len(await drifts_told(facility)) == 1
    (row,) = await house.sql("SELECT day, (clock_timestamp() AT TIME ZONE 'UTC')::date AS today FROM looks")
    assert row["day"] == row["today"]


async def test_shadow_runs_and_old_days_move_nothing(watched: str, facility: Facility, house: House) -> None:
    await enter(facility, [400, 0, 0, 0], 60)
    await house.sql("UPDATE watched SET shadow = true WHERE facility_id = $1", facility.id)
    await look_today(house)
    await house.sql("UPDATE watched SET shadow = false, day = day - $2::int WHERE facility_id = $1", facility.id, DAYS)
    await look_today(house)
    assert await drifts_told(facility) == []
    start = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=DAYS + 5)
    found = await shown(facility, **{"from": str(start)})
    assert next(each for each in found["measures"] if each["measure"] == "input_mean")["band"] == "major"
