"""The card says what its figures can't show."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="scripts/train installs PyTorch")

from codetect_inference.bundle import open_folder
from codetect_training.card import export, text
from codetect_training.finishing import NOTES
from codetect_training.trained import Trained

from tests.inference.samples import BUNDLE

MADE = Trained("scratch", "From random weights", 9, frozenset({"covid-ct", "luna16-slices"}))
PROOF = {
    "fp32_logits_max_difference": 1e-4,
    "fp32_cams_max_difference_share": 1e-4,
    "fp32_distances_max_difference": 1e-4,
    "int8_logits_max_difference": 0.03,
    "auc_torch": 0.9,
    "auc_int8": 0.9,
}
TRIED = {"luna16_called_positive": 0.1, "nobody": {"probability": 0.6, "positive": True}, "alien": []}


def card(made: Trained | None) -> str:
    return text(open_folder(BUNDLE), Path("somewhere/1"), {"proof": PROOF, "tried": TRIED}, made)


def test_weights_out_of_an_int8_bundle_show_nothing_of_what_int8_costs() -> None:
    for proof in ({"model_of": "1.1.0"}, PROOF):
        said = export(proof, None)
        assert "int8 is compared with itself" in said
        assert "0.037 of a logit" in said
    assert "compared with itself" not in export(PROOF, MADE)
    assert "all of val" not in export(PROOF, MADE)


def test_images_of_a_paper_on_both_sides_are_told() -> None:
    assert "paper\n  that is in val" in card(None)
    assert "paper that is in val" in NOTES["covid-ct"]


def test_the_card_says_where_the_bundle_lies_and_what_was_learnt_from() -> None:
    assert "--bundle somewhere/1 --images" in card(None)
    assert "none shows COVID-19; not seen in training" in card(None)
    assert "none shows COVID-19; learnt from" in card(MADE)
    assert "Experiment `scratch`" in card(MADE)
    assert "These are the weights of 1.0.0" not in card(MADE)
