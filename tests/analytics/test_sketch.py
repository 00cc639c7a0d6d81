"""Quantiles from buckets are within 1 % of the exact ones."""

from codetect_analytics import sketch
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10**10))
def test_a_bucket_stands_for_its_durations_within_the_error(ms: int) -> None:
    assert abs(sketch.value(sketch.bucket(ms)) - ms) <= ms * (sketch.RELATIVE_ERROR + 1e-9)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_longer_is_never_in_a_lower_bucket(a: int, b: int) -> None:
    assert (sketch.bucket(a) <= sketch.bucket(b)) == (a <= b) or sketch.bucket(a) == sketch.bucket(b)


def test_no_time_and_less_than_none_are_no_time() -> None:
    assert sketch.value(sketch.bucket(0)) == sketch.value(sketch.bucket(-5)) == 0


def test_ten_days_fit_a_smallint() -> None:
    assert sketch.bucket(10 * 86_400_000) < 2000
