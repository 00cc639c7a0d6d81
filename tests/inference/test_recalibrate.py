"""A bundle fitted anew to labelled studies: what is fitted, what the candidate holds, and the notebook that does it."""

import json
import os
import re
import subprocess
from pathlib import Path

import nbformat
import numpy as np
import pytest
from codetect_inference.bundle import Pooling, open_bundle, open_folder
from codetect_inference.explain import probabilities
from codetect_training.recalibrate import Calibration, candidate, fit, labels_of, log_loss, of_label
from codetect_training.studies.scoring import ScoredStudy
from scipy.special import expit

from tests.inference.samples import ROOT, bundle_files

NOTEBOOK = "from-feedback-to-candidate.ipynb"
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LABEL = {"name": "grey", "title": "Grey", "threshold": 0.6, "temperature": 1.0}


def study(number: int, label: int, *logits: float) -> ScoredStudy:
    return ScoredStudy(str(number), str(number), label, np.array(logits), np.zeros(len(logits)), 0, False)


def studies(count: int, scale: float, middle: float = 0.0, seed: int = 5) -> list[ScoredStudy]:
    """Studies of one slice each whose labels follow the sigmoid of logits that are then shifted and stretched."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        logit = random.normal(0, 2)
        label = int(random.random() < expit(logit))
        found.append(study(number, label, (logit + middle) * scale))
    return found


def bundle(**changes):
    return open_bundle(bundle_files(**({"labels": [LABEL]} | changes)))


def test_the_temperature_is_found_again_in_study_scores() -> None:
    those = studies(4000, 3)
    found = fit(bundle().manifest, 0, those)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.threshold == pytest.approx(0.5, abs=0.1)
    labels, pooling = labels_of(those), bundle().manifest.pooling
    before = log_loss(labels, Calibration(1, 0.6).scores(those, pooling))
    assert log_loss(labels, found.scores(those, pooling)) < before


def test_readers_who_say_it_earlier_lower_the_threshold() -> None:
    assert fit(bundle().manifest, 0, studies(4000, 1, middle=-1.5)).threshold < 0.35


def test_few_studies_move_the_temperature_little_and_fewer_nothing() -> None:
    few = [one for label in (0, 1) for one in [s for s in studies(60, 1) if s.label == label][:3]]
    apart = [study(number, one.label, 8.0 * one.label - 4) for number, one in enumerate(few)]
    assert 0.3 < fit(bundle().manifest, 0, apart).temperature < 1  # without the pull it would run to its limit
    with pytest.raises(SystemExit, match="at least 3 with the label and 3 without"):
        fit(bundle().manifest, 0, few[1:])


def test_scores_are_pooled_as_the_service_pools() -> None:
    many = study(1, 1, -2.0, 0, 2, 4)
    pooling = Pooling(method="mean_of_highest", share=0.5, at_least=1)
    assert Calibration(2, 0.5).scores([many], pooling)[0] == pytest.approx(expit([1, 2]).mean())


def test_a_candidate_is_the_same_weights_under_a_raised_version() -> None:
    spread = {"edges": [0.2, 0.5, 0.9], "shares": [0.25, 0.25, 0.25, 0.25]}
    figures = {"n": 9, "auc": 0.9, "auc_ci95": [0.8, 1], "accuracy": 1, "f1": 1, "sensitivity": 1, "specificity": 1}
    point = {"sensitivity": 0.9, "specificity": 0.5, "threshold": 0.3}
    old = bundle(
        labels=[LABEL | {"operating_points": [point]}],
        metrics=[{"data": "old", "ece": 0, **figures}],
        reference={"data": "old", "n": 9, "measures": {"score:grey": spread, "input_mean": spread}},
    )
    files = candidate(old, 0, Calibration(2.0, 0.4), "0.2.0", "on 9 studies")
    new = open_bundle(files)
    assert new.model == old.model
    assert new.sha256 != old.sha256
    assert new.manifest.version == "0.2.0"
    assert of_label(new.manifest, 0) == Calibration(2.0, 0.4)
    label = new.manifest.labels[0]
    assert label.threshold == pytest.approx(expit(np.log(0.6 / 0.4) / 2))  # slices at it are those that were at 0.6
    assert not label.operating_points  # their sensitivities were measured at the old temperature
    assert not new.manifest.metrics
    assert "on 9 studies" in new.manifest.limits[0]
    assert new.manifest.reference is not None
    measures = new.manifest.reference.measures
    assert measures["input_mean"].edges == (0.2, 0.5, 0.9)
    # What had the probability of an edge has now the probability of the edge in its place.
    logits = np.log(np.array(spread["edges"]) / (1 - np.array(spread["edges"])))[:, None].astype(np.float32)
    np.testing.assert_allclose(probabilities(new.manifest, logits)[:, 0], measures["score:grey"].edges, rtol=1e-5)
    with pytest.raises(SystemExit, match="raise the version"):
        candidate(old, 0, Calibration(2.0, 0.4), "0.1.0", "on 9 studies")


def test_the_notebook_runs_and_prints_what_it_holds(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "notebook", tmp_path], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    kept, fresh = (nbformat.read(folder / NOTEBOOK, as_version=4) for folder in (ROOT / "docs/notebooks", tmp_path))
    assert [cell.source for cell in kept.cells] == [cell.source for cell in fresh.cells]
    for before, now in zip(said(kept), said(fresh), strict=True):
        assert NUMBER.sub("#", before) == NUMBER.sub("#", now)
        numbers = [[float(one) for one in NUMBER.findall(text)] for text in (before, now)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.02)  # processors differ in a model's last digits
    assert [one.output_type for cell in fresh.cells for one in cell.get("outputs", [])].count("display_data") == 1
    (made,) = tmp_path.glob("tmp*/lung-coverage-densenet/*/bundle.json")
    base, made = open_folder(ROOT / "models/lung-coverage-densenet/1.0.0"), open_folder(made.parent)
    assert made.manifest.version == "1.0.1"
    assert made.model == base.model
    labels = [json.loads(one.manifest.labels[1].model_dump_json()) for one in (base, made)]
    assert labels[1]["study_threshold"] < labels[0]["threshold"]  # these readers say it earlier


def said(notebook: nbformat.NotebookNode) -> list[str]:
    """What its cells printed."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    assert all(one.output_type != "error" for one in outputs)
    assert all(one.get("name") != "stderr" for one in outputs)
    return ["".join(one.text) for one in outputs if one.output_type == "stream"]
