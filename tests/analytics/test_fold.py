"""Folding is blind to the order of events."""

import random
from datetime import UTC, datetime

import pytest
from codetect_analytics import models
from codetect_analytics.fold import Tally, bin_of, quarter
from codetect_shared.bus import Envelope

from tests.analytics.stories import MODELS, Story


def folded(envelopes: list[Envelope]) -> tuple[dict, dict]:
    tally = Tally({})
    for envelope in envelopes:
        tally.fold(envelope, envelope.event())
    rows = {t.name: {k: v for k, v in rows.items() if any(v)} for t, rows in tally.counters.items()}
    return rows, tally.latest


def test_any_order_gives_the_same_figures() -> None:
    told = Story().busy(30)
    expected = folded(told)
    for seed in range(5):
        shuffled = random.Random(seed).sample(told, len(told))
        assert folded(shuffled) == expected


def test_folding_in_parts_is_folding_at_once() -> None:
    told = Story().busy(30)
    whole, _ = folded(told)
    first, second = Tally({}), None
    for envelope in told[:50]:
        first.fold(envelope, envelope.event())
    second = Tally(dict(first.latest))
    for envelope in told[50:]:
        second.fold(envelope, envelope.event())
    for part in (second,):
        for table, rows in part.counters.items():
            for key, sums in rows.items():
                first.add(table, key, *sums)
    assert {t.name: {k: v for k, v in rows.items() if any(v)} for t, rows in first.counters.items()} == whole


def test_an_older_event_does_not_bring_back_an_older_state() -> None:
    story = Story()
    told = story.analysis("completed", MODELS[1])
    rows, latest = folded([told[-1], *told[:-1]])
    assert list(rows["states"].values()) == [[1]]
    assert [known.state for known in latest.values()] == ["completed"]


def test_every_counter_has_its_place_in_a_table() -> None:
    tally = Tally({})
    for envelope in Story().busy(60):
        tally.fold(envelope, envelope.event())
    assert set(tally.counters) == set(models.COUNTERS)
    for table, rows in tally.counters.items():
        for key, sums in rows.items():
            assert len(key) == len(table.primary_key)
            assert len(key) + len(sums) == len(table.columns)


@pytest.mark.parametrize(
    ("p", "expected"), [(0, 0), (0.049999, 0), (0.05, 1), (0.5, 10), (0.999, 19), (1, 19), (7, 19)]
)
def test_bins(p: float, expected: int) -> None:
    assert bin_of(p) == expected


def test_quarters() -> None:
    assert quarter(datetime(2026, 3, 1, 8, 14, 59, 999999, UTC)) == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert quarter(datetime(2026, 3, 1, 8, 15, tzinfo=UTC)) == datetime(2026, 3, 1, 8, 15, tzinfo=UTC)
