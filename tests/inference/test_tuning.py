"""The fastest way of running a model on this CPU is measured once, in bounded time, and kept."""

import time
from pathlib import Path

import numpy as np
import pytest
from codetect_inference.bundle import open_bundle, open_folder
from codetect_inference.engine import Way, cores
from codetect_inference.tuning import Tuned, best_engine, machine, remembered, ways

from tests.inference.samples import BUNDLE, bundle_files

TINY = open_bundle(bundle_files())


def test_what_was_found_is_kept_for_the_next_start(tmp_path: Path) -> None:
    kept = tmp_path / "models" / "x.tuning.json"
    engine, found, now = best_engine(TINY, 1, kept)
    assert now
    assert engine.way == found.way
    assert found.way in list(ways(cores()))
    assert set(found.rates) == {f"{w.lanes}x{w.threads}x{w.batch}" for w in ways(cores())}
    assert engine.run(np.ones((1, 1, 32, 32), np.float32)).logits[0, 0] == pytest.approx(1)
    again, same, now = best_engine(TINY, 1, kept)
    assert not now
    assert (again.way, same) == (found.way, found)


def test_of_another_machine_nothing_is_believed(tmp_path: Path) -> None:
    kept = tmp_path / "x.tuning.json"
    for content in (Tuned(machine="another", way=Way(64), rates={}).model_dump_json(), "{", '{"machine": 1}'):
        kept.write_text(content)
        assert remembered(kept) is None
    kept.write_text(Tuned(machine=machine(), way=Way(3, 1, 2), rates={}).model_dump_json())
    assert best_engine(TINY, 1, kept)[0].way == Way(3, 1, 2)


def test_with_no_time_left_the_usual_way_is_taken(tmp_path: Path) -> None:
    engine, found, _ = best_engine(TINY, 1e-9, tmp_path / "x.tuning.json")
    assert engine.way == Way(cores(), 1, 2)
    assert len(found.rates) == 1


def test_the_shipped_model_is_measured_about_as_long_as_allowed(tmp_path: Path) -> None:
    """The budget ends the trying; one way that was begun ends, too: on a busy machine that may take as long again."""
    begun = time.process_time()
    best_engine(open_folder(BUNDLE), 1, tmp_path / "x.tuning.json")
    assert time.process_time() - begun < 10


def test_more_cores_have_more_ways() -> None:
    assert list(ways(1)) == [Way(1, 1, 2), Way(1)]
    assert list(ways(2)) == [Way(2, 1, 2), Way(2), Way(1, 2)]
    assert Way(4, 2) in list(ways(8))
    assert all(way.lanes * way.threads <= 8 for way in ways(8))
