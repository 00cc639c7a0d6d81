"""Results in words and pictures: scores follow the slices, warnings say what is weak, overlays show only evidence."""

import numpy as np
import pytest
from codetect_inference.bundle import Bundle, Pooling, open_bundle, open_folder
from codetect_inference.drawing import heatmap_png, on_slice, overlay, slice_png
from codetect_inference.engine import Engine, Outputs
from codetect_inference.explain import (
    Explanation,
    Maps,
    Peak,
    evidence,
    explain,
    peak_of,
    probabilities,
    study_score,
)
from codetect_inference.preprocess import Box, Plan, plan_series, prepare_batch
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.samples import BUNDLE, bundle_files, data, open_png, read_slice, tiny_model

FIFTH = Pooling(method="mean_of_highest", share=0.2, at_least=3)
BOX = Box(10, 50, 20, 100)


@pytest.fixture(scope="module")
def tiny() -> Bundle:
    return open_bundle(bundle_files()).manifest


def maps(cam: np.ndarray, bias: float = 0.0) -> Maps:
    """Maps of one slice and one label."""
    logits = np.array([[cam.mean() + bias]], np.float32)
    return Maps(np.array([4], np.int32), logits, cam[None, None].astype(np.float16), BOX)


def plan(count: int, little_lung: bool = False) -> Plan:
    return Plan(tuple(range(5, 5 + count)), BOX, little_lung)


def said(bundle: Bundle, of: Plan, logits: np.ndarray, *more: dict[str, float], **given: np.ndarray) -> Explanation:
    """What is made of these logits, with maps that say nothing."""
    return explain(
        bundle, of, Maps.of(of, Outputs(logits, np.zeros((len(logits), 1, 1, 1), np.float32), **given)), *more
    )


def test_a_slices_probability_is_its_logit_through_the_temperature(tiny: Bundle) -> None:
    found = probabilities(tiny, np.array([[-1.0], [0.0], [1.0]], np.float32))
    np.testing.assert_allclose(found[:, 0], [0.1192, 0.5, 0.8808], atol=1e-4)


def test_extreme_logits_stay_probabilities(tiny: Bundle) -> None:
    found = probabilities(tiny, np.array([[-1e4], [1e4]], np.float32))
    np.testing.assert_array_equal(found[:, 0], [0, 1])


@pytest.mark.parametrize(
    ("chances", "score"),
    [
        ([0.3], 0.3),
        ([0.1, 0.9], 0.5),
        ([0.0, 0.3, 0.6, 0.9], 0.6),
        ([0.0] * 80 + [0.8] * 20, 0.8),
        ([0.0] * 99 + [1.0], 0.05),
    ],
    ids=["one slice", "two", "the highest three", "a fifth", "one odd slice of a hundred"],
)
def test_the_study_score_is_the_mean_of_its_highest_slices(chances: list[float], score: float) -> None:
    assert study_score(np.array(chances, np.float32), FIFTH) == pytest.approx(score)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60), st.randoms())
def test_the_score_hangs_on_no_order_and_rises_with_any_slice(chances: list[float], random: object) -> None:
    score = study_score(np.array(chances, np.float32), FIFTH)
    shuffled = list(chances)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert study_score(np.array(shuffled, np.float32), FIFTH) == pytest.approx(score)
    shuffled[0] = 1.0
    assert study_score(np.array(shuffled, np.float32), FIFTH) >= score - 1e-6
    assert min(chances) - 1e-6 <= score <= max(chances) + 1e-6


def test_the_result_names_the_slices_by_their_number_in_the_series(tiny: Bundle) -> None:
    logits = np.full((20, 1), -3, np.float32)
    logits[[7, 3, 9]] = [[4], [3], [2]]
    result = said(tiny, plan(20), logits)
    assert result.top_slices[:3] == (12, 8, 14)
    assert len(result.top_slices) == 5
    finding = result.findings[0]
    assert (finding.label, finding.threshold, finding.positive) == ("grey", 0.6, True)
    assert finding.probability == pytest.approx(result.probabilities[[7, 3, 9, 0], 0].mean(), abs=1e-6)
    assert result.warnings == ()


def test_a_score_below_the_threshold_is_negative(tiny: Bundle) -> None:
    assert not said(tiny, plan(20), np.zeros((20, 1), np.float32)).findings[0].positive


def test_a_study_is_held_against_the_threshold_of_studies_where_there_is_one(tiny: Bundle) -> None:
    label = tiny.labels[0].model_copy(update={"study_threshold": 0.95})
    logits = np.ones((20, 1), np.float32)  # each slice is positive by itself
    (finding,) = said(tiny.model_copy(update={"labels": (label,)}), plan(20), logits).findings
    assert 0.6 < finding.probability < 0.95
    assert (finding.threshold, finding.positive) == (0.95, False)


@pytest.mark.parametrize(("count", "words"), [(1, "1 slice was"), (9, "9 slices were")])
def test_few_slices_are_said(tiny: Bundle, count: int, words: str) -> None:
    warnings = said(tiny, plan(count), np.zeros((count, 1), np.float32)).warnings
    assert [warning.code for warning in warnings] == ["few_slices"]
    assert words in warnings[0].detail


def test_a_slice_without_clear_lung_is_said_first(tiny: Bundle) -> None:
    warnings = said(tiny, plan(1, little_lung=True), np.zeros((1, 1), np.float32)).warnings
    assert [warning.code for warning in warnings] == ["little_lung", "few_slices"]


def test_maps_survive_packing_and_stay_small() -> None:
    count = 133
    random = np.random.default_rng(5)
    kept = Maps(
        np.arange(count, dtype=np.int32),
        random.normal(size=(count, 1)).astype(np.float32),
        random.normal(size=(count, 1, 7, 7)).astype(np.float16),
        BOX,
    )
    content = kept.pack()
    again = Maps.unpack(content)
    assert again.box == BOX
    for name in ("slices", "logits", "cams"):
        np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
    assert len(content) < 20_000


def test_an_overlay_without_evidence_is_clear() -> None:
    picture = open_png(heatmap_png(maps(np.full((7, 7), -2.0)), 0, 0, (64, 128), 1.0))
    assert picture.shape == (64, 128, 4)
    assert picture[..., 3].max() == 0


def test_an_overlay_shows_evidence_where_it_is_and_nothing_outside_the_crop() -> None:
    cam = np.full((7, 7), -4.0)
    cam[1, 5] = 6.0
    alpha = open_png(heatmap_png(maps(cam), 0, 0, (64, 128), 1.0))[..., 3]
    outside = np.ones_like(alpha, bool)
    outside[10:50, 20:100] = False
    assert alpha[outside].max() == 0
    y, x = np.unravel_index(alpha.argmax(), alpha.shape)
    assert abs(y - (10 + 40 * 1.5 / 7)) <= 3
    assert abs(x - (20 + 80 * 5.5 / 7)) <= 6
    assert 100 < alpha.max() < 200, "the slice shines through"


def test_the_models_bias_counts_in_the_overlay() -> None:
    cam = np.full((7, 7), 1.0)
    assert open_png(heatmap_png(maps(cam, bias=-3), 0, 0, (64, 128), 1.0))[..., 3].max() == 0
    assert open_png(heatmap_png(maps(cam, bias=3), 0, 0, (64, 128), 1.0))[..., 3].max() > 100


def test_a_slice_is_drawn_through_the_window() -> None:
    hu = np.array([[-2000, -1350, -600], [150, 900, 150]], np.int16)
    np.testing.assert_array_equal(open_png(slice_png(hu, -600, 1500)), [[0, 0, 128], [255, 255, 255]])


def test_on_the_slice_the_map_is_seen_and_the_slice_shines_through() -> None:
    cam = np.full((7, 7), -4.0)
    cam[1, 5] = 6.0
    hu = np.full((64, 128), -600, np.int16)
    hu[:, :64] = -1350
    drawn = np.asarray(on_slice(hu, -600, 1500, maps(cam), 0, 0, 1.0)).astype(int)
    clear = overlay(maps(cam), 0, 0, hu.shape, 1.0)[..., 3] == 0
    assert drawn.shape == (64, 128, 3)
    np.testing.assert_array_equal(drawn[clear], np.where(hu < -600, 0, 128)[clear][:, None].repeat(3, 1))
    coloured = drawn.max(2) - drawn.min(2)
    assert coloured[clear].max() == 0
    assert coloured[18, 82] > 50, "the peak is coloured"


@given(st.integers(0, 6), st.integers(0, 6))
def test_the_peak_is_where_the_overlay_is_strongest(y: int, x: int) -> None:
    cam = np.full((7, 7), -4.0)
    cam[y, x] = 6.0
    found = peak_of(maps(cam), 0, 0)
    assert found
    assert (found.slice, found.position_mm) == (4, None)
    heat = evidence(maps(cam), 0, 0)
    assert heat.shape == (40, 80)
    down, across = found.row - BOX.top, found.column - BOX.left
    assert (down * 7 // 40, across * 7 // 80) == (y, x), "within the strongest cell, not at the picture's edge"
    assert heat[down, across] > 0.7 * heat.max()


def test_the_peak_leans_to_its_stronger_neighbour() -> None:
    cam = np.zeros((7, 7))
    cam[3, 2:5] = [0, 6, 5]
    cam[2:5, 3] = [0, 6, 0]
    found = peak_of(maps(cam), 0, 0)
    assert found
    assert found.row == BOX.top + 20, "between its neighbours above and below"
    assert BOX.left + 80 * 3.5 / 7 < found.column < BOX.left + 80 * 4 / 7


def test_without_evidence_there_is_no_peak() -> None:
    assert peak_of(maps(np.full((7, 7), -2.0)), 0, 0) is None
    assert peak_of(maps(np.full((7, 7), 1.0), bias=-3), 0, 0) is None


def test_a_findings_peak_lies_on_its_likeliest_slice_and_in_the_patient(tiny: Bundle) -> None:
    cams = np.zeros((20, 1, 7, 7), np.float32)
    cams[7, 0, 1, 5], cams[3, 0, 4, 4] = 49, 98
    logits = np.zeros((20, 1), np.float32)
    logits[[7, 3]] = [[4], [3]]
    of = plan(20)
    result = explain(
        tiny, of, Maps.of(of, Outputs(logits, cams)), place=lambda n, column, row: (float(n), column / 2, row / 2)
    )
    peak = result.findings[0].peak
    assert peak
    assert peak == Peak(12, peak.column, peak.row, (12.0, peak.column / 2, peak.row / 2))
    assert [one.slice for one in result.top_scores] == list(result.top_slices)
    assert [one.probabilities["grey"] for one in result.top_scores] == sorted(
        result.probabilities[:, 0].tolist(), reverse=True
    )[:5]


def test_a_real_slice_goes_all_the_way_with_the_shipped_bundle() -> None:
    hu = read_slice(data("dicom", "covid-19-ny-sbu", "A002304", "axial", "19010112-135.dcm"))
    bundle = open_folder(BUNDLE)
    how = bundle.manifest.preprocessing
    found = plan_series(1, lambda _: hu, how.margin)
    engine = Engine(bundle, "cpu")
    outputs = engine.run(prepare_batch([hu], found.box, how))
    result = explain(bundle.manifest, found, Maps.of(found, outputs))
    assert 0 < result.findings[0].probability < 1
    kept = Maps.unpack(Maps.of(found, outputs).pack())
    picture = open_png(heatmap_png(kept, 0, 0, hu.shape, bundle.manifest.labels[0].temperature))
    assert picture.shape == (512, 512, 4)


def test_what_a_series_lacks_is_said_with_its_result(tiny: Bundle) -> None:
    found = said(tiny, plan(20), np.zeros((20, 1), np.float32), {"missing_slices": 2, "gantry_tilt": 20}).warnings
    assert [(one.code, one.detail) for one in found] == [
        ("missing_slices", "2 slices are missing within the series: what lies there wasn't seen.")
    ]


@pytest.mark.parametrize(
    ("distances", "score", "codes"),
    [([1, 2, 3], 0.5, []), ([1, 4, 9], 1.0, ["out_of_distribution"]), ([9, 9, 1], 2.25, ["out_of_distribution"])],
)
def test_a_study_unlike_the_training_data_is_said_first(distances: list[float], score: float, codes: list[str]) -> None:
    bundle = open_bundle(bundle_files(tiny_model(distance=True), outliers={"threshold": 4, "how": "grey"})).manifest
    found = said(bundle, plan(3), np.zeros((3, 1), np.float32), distances=np.array(distances, np.float32))
    assert found.unlikeness == score
    assert [one.code for one in found.warnings] == [*codes, "few_slices"]


def test_a_model_that_cannot_tell_says_nothing_of_likeness(tiny: Bundle) -> None:
    assert said(tiny, plan(20), np.zeros((20, 1), np.float32)).unlikeness is None
