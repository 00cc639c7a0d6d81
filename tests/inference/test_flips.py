"""Test-time flips: what is measured is the mean over an image and its mirror image, by the service's own engine."""

import json

import numpy as np
import pytest
from codetect_inference.bundle import open_folder
from codetect_training import flips
from codetect_training.asking import ask, batched
from codetect_training.flips import compared, flipped
from codetect_training.metrics import auc, auc_gain_interval, auc_interval

from tests.inference.samples import BUNDLE

RANDOM = np.random.default_rng(11)


def test_an_image_and_its_mirror_image_count_alike() -> None:
    bundle = open_folder(BUNDLE)
    images = RANDOM.random((3, 1, 192, 192), np.float32)
    images[:, :, :, :96] *= 0.3
    once, twice = flipped(bundle, images)
    mirrored = np.ascontiguousarray(images[..., ::-1])
    np.testing.assert_allclose(once, ask(bundle, batched(images), "cpu").logits[:, 0], atol=1e-5)
    other, again = flipped(bundle, mirrored)
    assert np.abs(once - other).max() > 0.01  # it isn't blind to sides, so that the mean says something
    np.testing.assert_allclose(twice, (once + other) / 2, atol=1e-5)
    np.testing.assert_allclose(twice, again, atol=1e-5)


def test_the_gain_is_that_of_the_same_images() -> None:
    labels = np.repeat([0, 1], 60)
    once = RANDOM.normal(labels * 1.2)
    twice = once + RANDOM.normal(labels * 0.3, 0.1)
    found = compared(labels, once, twice)
    assert found["gain"] == pytest.approx(auc(labels, twice) - auc(labels, once))
    low, high = found["gain_ci95"]
    assert low < found["gain"] < high
    alone = auc_interval(labels, once)
    assert high - low < (alone[1] - alone[0]) / 2  # what both have in common doesn't count
    assert auc_gain_interval(labels, once, once) == (0, 0)


@pytest.mark.parametrize(("gain", "said"), [(0.02, "It does."), (0.005, "It doesn't"), (-0.02, "It doesn't")])
def test_the_page_tells_figures_and_whether_they_are_worth_it(tmp_path, gain: float, said: str) -> None:
    assert "scripts/train flips" in flips.as_text(tmp_path)
    one = {"source": "here", "n": 5, "once": 0.8, "once_ci95": [0.7, 0.9], "twice": 0.8 + gain}
    one |= {"twice_ci95": [0.71, 0.91], "gain": gain, "gain_ci95": [-0.03, 0.04]}
    kept = {"bundle": "a-bundle 1.0.0", "sha256": "0", "side": 96, "sources": [one, one | {"gain": 0.03}]}
    (tmp_path / "flips.json").write_text(json.dumps(kept))
    page = flips.as_text(tmp_path)
    assert said in page
    assert (
        f"| here | 5 | 0.800 (0.700 to 0.900) | {0.8 + gain:.3f} (0.710 to 0.910) | {gain:+.3f} (-0.030 to +0.040) |"
        in page
    )
