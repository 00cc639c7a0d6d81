"""Studies simulated from slices: as alike as a patient's, their scores pooled as the service does; a lifted model."""

import numpy as np
import onnx
import pytest
from codetect_inference.bundle import Pooling, open_folder
from codetect_inference.explain import probabilities
from codetect_training.asking import ask
from codetect_training.finishing import lifted
from codetect_training.metrics import calibration_error, fit_logistic
from codetect_training.simulated import likeness, study_scores
from scipy.special import expit

from tests.inference.samples import BUNDLE

RANDOM = np.random.default_rng(5)
POOLING = Pooling(method="mean_of_highest", share=0.2, at_least=3)


def test_the_likeness_of_a_patients_slices_is_found_again() -> None:
    patients = np.repeat(np.arange(3000), 2)
    values = np.sqrt(0.6) * RANDOM.standard_normal(3000)[patients] + np.sqrt(0.4) * RANDOM.standard_normal(6000)
    assert likeness(np.exp(values), patients) == pytest.approx(0.6, abs=0.04)  # ranks: whatever the scale


def test_scores_lie_above_usual_slices_and_spread_as_slices_are_alike() -> None:
    chances = RANDOM.random(2000)
    apart, together = study_scores(chances, 0.0, POOLING), study_scores(chances, 0.5, POOLING)
    assert np.median(apart) == pytest.approx(0.9, abs=0.02)  # the highest fifth of numbers between 0 and 1
    assert together.std() > 3 * apart.std()
    assert np.quantile(together, 0.9) > np.quantile(apart, 0.9)
    np.testing.assert_array_equal(together, study_scores(chances, 0.5, POOLING))
    np.testing.assert_allclose(study_scores(chances * 0 + 0.3, 0.5, POOLING), 0.3, rtol=1e-6)


def test_temperature_and_lift_are_found_again() -> None:
    true = RANDOM.normal(0, 2, 20_000)
    labels = (RANDOM.random(20_000) < expit(true)).astype(int)
    temperature, lift = fit_logistic(labels, true * 3 - 2)
    assert (temperature, lift) == (pytest.approx(3, rel=0.1), pytest.approx(2, rel=0.1))
    assert calibration_error(labels, expit((true * 3 - 2 + lift) / temperature)) < 0.02


def test_a_lifted_model_says_the_same_but_for_a_constant() -> None:
    bundle = open_folder(BUNDLE)
    model = onnx.load_model_from_string(bundle.model)
    higher = type(bundle)(bundle.manifest, lifted(model, 0.75).SerializeToString(), bundle.sha256)
    images = RANDOM.random((2, 1, bundle.manifest.preprocessing.side, bundle.manifest.preprocessing.side), np.float32)
    before, after = (ask(one, [images], "cpu") for one in (bundle, higher))
    np.testing.assert_allclose(after.logits, before.logits + 0.75, atol=1e-5)
    np.testing.assert_allclose(after.cams, before.cams, atol=1e-5)
    np.testing.assert_array_equal(after.distances, before.distances)


def test_the_bundles_threshold_of_studies_is_above_that_of_slices() -> None:
    (label,) = open_folder(BUNDLE).manifest.labels
    assert label.positive_from == label.study_threshold is not None
    assert label.positive_from > label.threshold
    chances = probabilities(open_folder(BUNDLE).manifest, np.zeros((1, 1), np.float32))
    assert chances[0, 0] == pytest.approx(0.5)
