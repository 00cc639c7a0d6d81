"""A bundle that was trained anew says what was learnt from; one whose weights didn't change says what it said."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="scripts/train installs PyTorch")

from codetect_inference.bundle import MANIFEST, open_bundle
from codetect_training.finishing import NOTES
from codetect_training.trained import Trained, as_trained, trained

from tests.inference.samples import BUNDLE, data


def run(folder: Path, *best: int) -> Path:
    folder.mkdir()
    looks = [{"step": step, "best": step in best} for step in range(3)]
    (folder / "history.json").write_text(json.dumps(looks))
    return folder


def test_weights_that_did_not_change_are_described_as_before(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in BUNDLE.iterdir()}
    assert trained(run(tmp_path / "distilled", 0)) is None
    assert trained(run(tmp_path / "reissued", 2)) is None
    assert as_trained(files, None) == files


def test_what_was_learnt_from_is_said(tmp_path: Path) -> None:
    data("covid-ct")
    made = trained(run(tmp_path / "distilled", 0, 2))
    assert made
    assert (made.step, made.seen) == (2, {"covid-ct", "sars-cov-2-ct", "luna16-slices", "lidc-idri-0001"})
    assert trained(run(tmp_path / "scratch", 2)).seen == {"covid-ct", "sars-cov-2-ct"}
    assert trained(run(tmp_path / "teacher-covid", 2)).seen == {"covid-ct"}
    files = {path.name: path.read_bytes() for path in BUNDLE.iterdir()}
    said = open_bundle(as_trained(files, made)).manifest
    assert "LUNA16" in said.training_data[0]
    assert made.says in said.training_data[0]
    assert not any("425 images" in one for one in said.limits)
    assert "Other slices of this source were learnt from." in said.metrics[1].note


def test_the_note_that_is_replaced_is_the_one_that_is_written(tmp_path: Path) -> None:
    made = Trained("distilled", "", 1, frozenset({"sars-cov-2-ct"}))
    content = {"metrics": [{"note": NOTES["sars-cov-2-ct"]}], "limits": []}
    said = json.loads(as_trained({MANIFEST: json.dumps(content).encode()}, made)[MANIFEST])
    assert "Never seen" not in said["metrics"][0]["note"]
