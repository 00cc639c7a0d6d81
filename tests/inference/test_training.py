"""The card's figures are right by definition, and `evaluate` gives those that the bundle claims, without PyTorch."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from codetect_inference.bundle import Reference, open_folder
from codetect_training.baseline import guess, hands
from codetect_training.data import open_folder as open_images
from codetect_training.metrics import (
    auc,
    auc_interval,
    calibration_error,
    fit_temperature,
    operating_point,
    summary,
    youden_threshold,
)
from codetect_training.reference import histogram, reference
from PIL import Image
from scipy.special import expit

from tests.inference.samples import BUNDLE, COVID, ROOT, data

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


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.95, 1.0])
def test_an_operating_point_reaches_its_sensitivity_at_the_highest_threshold(wanted: float) -> None:
    labels = np.repeat([0, 1], 40)
    chances = expit(RANDOM.normal(labels * 1.5))
    reached, specificity, threshold = operating_point(labels, chances, wanted)
    assert reached >= wanted > reached - 1 / 40
    found = summary(labels, chances, threshold)
    assert (found["sensitivity"], found["specificity"]) == (pytest.approx(reached), pytest.approx(specificity))


def test_what_made_a_picture_is_guessed_from_its_form_and_nothing_else(tmp_path) -> None:
    """Two makers whose pictures differ in shape and edges: told apart; the same maker's twice: not."""
    paths, labels = [], np.tile([0, 1], 40)
    for number, label in enumerate(labels):
        rows, columns = RANDOM.integers(90, 110), RANDOM.integers(90, 110) * (1 + label)
        grey = np.pad(RANDOM.integers(0, 255, (rows, columns)), 8, constant_values=255 * label).astype(np.uint8)
        paths.append(tmp_path / f"{number}.jpg")
        Image.fromarray(grey).save(paths[-1])
    facts = hands(paths)
    assert facts.shape == (80, 13)
    assert auc(labels[40:], guess(facts[:40], labels[:40], facts[40:])) > 0.99
    same = facts[labels == 1]
    fair = auc(np.tile([0, 1], 10), guess(same[:20], np.tile([0, 1], 10), same[20:]))
    assert 0.1 < fair < 0.9


def test_a_reference_shares_its_values_evenly_and_is_the_bundles() -> None:
    images = RANDOM.random((200, 1, 8, 8)).astype(np.float32) * RANDOM.random((200, 1, 1, 1))
    found = Reference.model_validate(reference("these", images, {"covid_19": RANDOM.random(200)}, RANDOM.random(200)))
    assert found.n == 200
    assert set(found.measures) == {"input_mean", "input_spread", "distance", "score:covid_19"}
    for one in found.measures.values():
        assert max(one.shares) < 0.13
    assert histogram(np.array([1.0] * 19 + [2.0])) == {"edges": [1.0], "shares": [0.0, 1.0]}


def test_a_folder_without_both_classes_is_refused(tmp_path) -> None:
    (tmp_path / "covid").mkdir()
    with pytest.raises(SystemExit, match="covid and noncovid"):
        open_images(tmp_path, COVID)


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


@pytest.mark.skipif(not (ROOT / ".venv-train" / ".installed").exists(), reason="scripts/train installs PyTorch")
def test_what_needs_pytorch() -> None:
    run = subprocess.run([ROOT / "scripts" / "train", "test", "-q"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-6000:]
    assert "skipped" not in run.stdout
