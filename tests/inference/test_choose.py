"""The series that is read, and the reason given for it."""

import pytest
from codetect_inference.choose import choose_series
from codetect_shared.events import SeriesFacts
from hypothesis import given
from hypothesis import strategies as st

from tests.inference.conftest import series


def test_only_an_axial_ct_is_read() -> None:
    coronal, axial = series(plane="coronal", slices=400), series(slices=60)
    choice = choose_series([coronal, axial])
    assert choice is not None
    assert (choice.series, choice.reason) == (axial, "The only axial CT of 2 series.")
    assert choose_series([coronal, series(plane="sagittal"), series(plane="oblique"), series(modality="PT")]) is None
    assert choose_series([]) is None


def test_a_single_slice_is_enough() -> None:
    choice = choose_series([series(slices=1)])
    assert choice is not None
    assert choice.reason == "The study's only series."


def test_the_chest_comes_before_longer_series_of_other_parts() -> None:
    chest, abdomen, unnamed = (
        series(body_part="CHEST", slices=80),
        series(body_part="ABDOMEN", slices=300),
        series(slices=200),
    )
    assert choose_series([abdomen, unnamed, chest]).series == chest  # type: ignore[union-attr]
    assert choose_series([abdomen, unnamed]).series == unnamed  # type: ignore[union-attr]
    assert choose_series([abdomen]).series == abdomen  # type: ignore[union-attr]


@pytest.mark.parametrize("kernel", ["LUNG", "BONEPLUS", "B70f", "Bl57d", "Br60f", "I70f", "FC51", "YC", "L"])
def test_a_lung_kernel_is_preferred_among_series_of_like_length(kernel: str) -> None:
    soft, sharp = series(convolution_kernel="STANDARD", slices=134), series(convolution_kernel=kernel, slices=133)
    choice = choose_series([soft, sharp])
    assert choice is not None
    assert choice.series == sharp
    assert choice.reason == "The most suitable of 2 axial series: 133 slices, lung kernel."


@pytest.mark.parametrize("kernel", ["STANDARD", "SOFT", "B30f", "B41s", "I31f", "FC08", "B", None])
def test_a_soft_kernel_counts_for_nothing(kernel: str | None) -> None:
    longer, other = series(slices=134), series(convolution_kernel=kernel, slices=133)
    assert choose_series([other, longer]).series == longer  # type: ignore[union-attr]


def test_a_few_sharp_cuts_do_not_beat_the_whole_chest() -> None:
    whole, cuts = series(slices=300), series(slices=20, convolution_kernel="LUNG")
    assert choose_series([cuts, whole]).series == whole  # type: ignore[union-attr]


KERNELS = st.sampled_from([None, "LUNG", "B30f", "B70f"])
PARTS = st.sampled_from([None, "CHEST", "HEAD"])
SERIES = st.builds(
    series,
    plane=st.sampled_from(["axial", "coronal"]),
    slices=st.integers(1, 900),
    convolution_kernel=KERNELS,
    body_part=PARTS,
)


@given(st.lists(SERIES, max_size=6), st.randoms())
def test_the_order_of_the_series_does_not_matter(those: list, random: object) -> None:
    first = choose_series(those)
    random.shuffle(those)  # type: ignore[attr-defined]
    again = choose_series(those)
    assert (first is None) == (again is None)
    if first and again:
        assert facts(first.series) == facts(again.series)
        assert first.reason == again.reason


def facts(one: SeriesFacts) -> tuple[object, ...]:
    return one.slices, one.convolution_kernel in ("LUNG", "B70f"), one.body_part
