"""Preprocessing on real slices: lungs are found, other things aren't taken for them, and the same goes in each time."""

import time
from pathlib import Path

import numpy as np
import pytest
from codetect_inference.bundle import Preprocessing
from codetect_inference.preprocess import Box, Plan, plan_series, prepare_batch, prepare_slice, shows_lung, window
from numpy.typing import NDArray

from tests.inference.samples import data, read_series, read_slice

HOW = Preprocessing(side=224, level_hu=-600, width_hu=1500, margin=0.02)


@pytest.fixture(scope="module")
def lidc() -> NDArray[np.int16]:
    return read_series(data("dicom", "lidc-idri-0001"))


@pytest.fixture(scope="module")
def plan(lidc: NDArray[np.int16]) -> Plan:
    return plan_series(len(lidc), lambda index: lidc[index], HOW.margin)


def body(lung_hu: int | None, side: int = 256) -> NDArray[np.int16]:
    """A round body, with two round lungs when `lung_hu` is given."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    hu = np.where((x / 0.42) ** 2 + (y / 0.34) ** 2 < 1, 40, -1000)
    if lung_hu is not None:
        hu[((np.abs(x) - 0.19) / 0.13) ** 2 + (y / 0.22) ** 2 < 1] = lung_hu
    return hu.astype(np.int16)


def test_a_whole_chest_is_cut_to_its_lungs(lidc: NDArray[np.int16], plan: Plan) -> None:
    assert plan.shows_lung
    assert not plan.little_lung
    assert list(plan.slices) == list(range(plan.slices[0], plan.slices[-1] + 1)), "lungs are one piece"
    assert 25 < plan.slices[0] < 45, "the abdomen below is left out"
    assert 115 < plan.slices[-1] < 130, "the neck above is left out"
    assert plan.box.bottom - plan.box.top < 400, "the table is left out"
    assert plan.box.right - plan.box.left > 450, "the chest wall is kept"


def test_each_slice_alone_is_judged_as_in_its_series(lidc: NDArray[np.int16], plan: Plan) -> None:
    assert all(shows_lung(lidc[index]) for index in plan.slices[::8])
    assert not any(shows_lung(lidc[index]) for index in (0, 5, 10, 25))


@pytest.mark.parametrize("name", ["CT1_J2KR"])
def test_a_single_chest_slice_is_enough(name: str) -> None:
    hu = read_slice(data("dicom", "transfer-syntaxes", name))
    plan = plan_series(1, lambda _: hu, HOW.margin)
    assert plan.slices == (0,)
    assert not plan.little_lung


def test_severe_pneumonia_still_counts_as_lung() -> None:
    hu = read_slice(data("dicom", "covid-19-ny-sbu", "A046441", "axial", "19001111-045.dcm"))
    assert plan_series(1, lambda _: hu, HOW.margin) == plan_series(1, lambda _: hu.copy(), HOW.margin)
    assert shows_lung(hu)
    box = plan_series(1, lambda _: hu, HOW.margin).box
    assert box.left < 80, "consolidated lung isn't cut off"
    assert box.right > 420
    assert box.bottom > 400


@pytest.mark.parametrize(
    "path",
    [
        ("transfer-syntaxes", "CT2_J2KR"),
        ("covid-19-ny-sbu", "A027284", "axial", "19000925-116.dcm"),
        ("covid-19-ny-sbu", "A027284", "axial", "19001231-131.dcm"),
        ("other", "ct_head_localizer.dcm"),
    ],
    ids=["head", "abdomen", "another abdomen", "localizer"],
)
def test_heads_and_abdomens_show_no_lung(path: tuple[str, ...]) -> None:
    assert not shows_lung(read_slice(data("dicom", *path)))


def test_the_top_of_a_chest_is_analysed_with_a_warning_whatever_its_compression() -> None:
    folder = data("dicom", "transfer-syntaxes")
    undecodable = ("4.53.dcm", "4.55.dcm")
    slices = [path for path in sorted(folder.glob("CTImage.dcm*")) if not path.name.endswith(undecodable)]
    assert len(slices) >= 12
    for path in slices:
        hu = read_slice(path)
        plan = plan_series(1, lambda _, hu=hu: hu, HOW.margin)
        assert plan.slices == (0,), path.name
        assert plan.little_lung, path.name


def test_gas_in_the_bowel_is_no_lung() -> None:
    assert shows_lung(body(-850))
    assert not shows_lung(body(-1000))


@pytest.mark.parametrize("hu", [body(None), np.full((64, 64), -1000, np.int16), np.full((64, 64), 40, np.int16)])
def test_nothing_airy_means_nothing_to_analyse(hu: NDArray[np.int16]) -> None:
    assert plan_series(1, lambda _: hu, 0.2) == Plan((), Box(0, hu.shape[0], 0, hu.shape[1]))


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (64, 64), (130, 127), (1024, 768)])
def test_any_size_of_slice_is_taken(shape: tuple[int, int]) -> None:
    hu = np.random.default_rng(1).integers(-1024, 1500, shape).astype(np.int16)
    plan = plan_series(2, lambda _: hu, 0.2)
    ready = prepare_slice(hu, plan.box, HOW)
    assert ready.shape == (1, 224, 224)
    assert ready.dtype == np.float32


def test_one_bowel_loop_does_not_lengthen_the_lungs() -> None:
    abdomen = body(None)
    abdomen[100:120, 60:80] = -850
    chest = [body(-850)] * 6
    series = [abdomen, abdomen, body(None), *chest, body(None)]
    assert plan_series(len(series), series.__getitem__, 0.2).slices == tuple(range(3, 9))


def test_the_window_maps_hu_to_grey() -> None:
    hu = np.array([[-32768, -1350, -600, 150, 32767]], np.int16)
    np.testing.assert_allclose(window(hu, -600, 1500), [[0, 0, 0.5, 1, 1]])


def test_the_crop_keeps_a_margin_inside_the_image() -> None:
    tight, wide = (plan_series(1, lambda _: body(-850), margin).box for margin in (0.0, 0.05))
    height, width = tight.bottom - tight.top, tight.right - tight.left
    assert (tight.top - wide.top, tight.left - wide.left) == (round(0.05 * height), round(0.05 * width))
    huge = plan_series(1, lambda _: body(-850), 1.0).box
    assert huge == Box(0, 256, 0, 256)


def test_the_same_series_gives_the_same_bytes(lidc: NDArray[np.int16], plan: Plan) -> None:
    chosen = plan.slices[::20]
    once = prepare_batch((lidc[index] for index in chosen), plan.box, HOW)
    again = prepare_batch((lidc[index].copy() for index in chosen), plan.box, HOW)
    assert once.tobytes() == again.tobytes()
    assert once.shape == (len(chosen), 1, 224, 224)
    assert once.min() >= 0
    assert once.max() <= 1


def test_preparing_costs_less_than_8_ms_of_cpu_a_slice(lidc: NDArray[np.int16]) -> None:
    began = time.thread_time()
    plan = plan_series(len(lidc), lambda index: lidc[index], HOW.margin)
    planned = (time.thread_time() - began) / len(lidc)
    began = time.thread_time()
    prepare_batch((lidc[index] for index in plan.slices), plan.box, HOW)
    prepared = (time.thread_time() - began) / len(plan.slices)
    assert (planned + prepared) * 1000 < 8


def test_data_is_found_by_its_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CODETECT_DATA", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="CODETECT_DATA"):
        data("dicom")
