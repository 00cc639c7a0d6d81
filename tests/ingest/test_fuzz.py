import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.target import check


@pytest.mark.filterwarnings("ignore")  # seeds are careless on purpose
def test_what_fuzzing_asks_of_any_bytes_holds_for_what_it_starts_from() -> None:
    outcomes = [check(seed) for seed in seeds()]
    assert sum(outcomes) > 10
    assert len(outcomes) > 100
