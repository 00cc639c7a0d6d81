"""The card's figures are right by definition, and `evaluate` gives those that the bundle claims, without PyTorch."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from codetect_inference.bundle import open_folder
from codetect_training.data import open_folder as open_images
from codetect_training.metrics import auc, auc_interval, calibration_error, fit_temperature, summary, youden_threshold
from scipy.special import expit

from tests.inference.samples import BUNDLE, data

RANDOM = np.random.default_rng(4)


def test_auc_is_the_share_of_pairs_in_the_right_order() -> None:
    labels = RANDOM.integers(0, 2, 60)
    scores = RANDOM.integers(0, 8, 60).astype(float)
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    assert auc(labels, scores) == pytest.approx(np.mean(pairs))


def test_the_interval_is_the_same_each_time_and_holds_the_value() -> None:
    labels = np.repeat([0, 1], 50)
    scores = RANDOM.normal(labels)
    low, high = auc_interval(labels, scores)
    assert low < auc(labels, scores) < high
    assert (low, high) == auc_interval(labels, scores)


def test_the_temperature_is_found_again() -> None:
    logits = RANDOM.normal(0, 2, 20_000)
    labels = (RANDOM.random(20_000) < expit(logits)).astype(int)
    assert fit_temperature(labels, logits * 3) == pytest.approx(3, rel=0.1)
    assert calibration_error(labels, expit(logits)) < 0.02 < calibration_error(labels, expit(logits * 3))


def test_the_threshold_parts_what_can_be_parted() -> None:
    labels = np.array([0, 0, 1, 1])
    threshold = youden_threshold(labels, np.array([0.1, 0.3, 0.4, 0.9]))
    assert 0.3 < threshold < 0.4
    found = summary(labels, np.array([0.1, 0.3, 0.4, 0.9]), threshold)
    assert (found["auc"], found["accuracy"], found["f1"], found["sensitivity"], found["specificity"]) == (1, 1, 1, 1, 1)


def test_figures_at_a_threshold_count_as_defined() -> None:
    found = summary(np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.7, 0.1]), 0.5)
    assert (found["n"], found["accuracy"], found["sensitivity"]) == (5, 0.6, 0.6667)
    assert (found["specificity"], found["f1"]) == (0.5, 0.6667)


def test_a_folder_without_both_classes_is_refused(tmp_path) -> None:
    (tmp_path / "covid").mkdir()
    with pytest.raises(SystemExit, match="covid and noncovid"):
        open_images(tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="this environment has PyTorch")
def test_evaluate_gives_what_the_bundle_claims() -> None:
    command = ["-m", "codetect_training", "evaluate", "--bundle", str(BUNDLE), "--json"]
    images = ["--images", str(data("covid-ct", "val"))]
    run = subprocess.run([sys.executable, *command, *images], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    claimed = open_folder(BUNDLE).manifest.metrics[0].model_dump()
    assert set(found) == {"n", "auc", "auc_ci95", "accuracy", "f1", "sensitivity", "specificity", "ece"}
    assert found["n"] == claimed["n"]
    for name in ("auc", "accuracy", "sensitivity", "specificity", "f1"):
        assert found[name] == pytest.approx(claimed[name], abs=0.02), name
