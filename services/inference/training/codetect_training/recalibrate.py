"""A bundle's temperature and threshold fitted anew to labelled studies: a candidate with a raised version, no training.

The weights stay what they are, so the order of slices stays; what changes is how logits become probabilities and from
which study score on a study counts as positive.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from codetect_inference.bundle import MANIFEST, MODEL, Bundle, LoadedBundle, Pooling, open_bundle
from codetect_inference.explain import study_score
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from codetect_training.metrics import Floats, Labels, youden_threshold
from codetect_training.packing import written
from codetect_training.studies.scoring import ScoredStudy

LEAST = 3  # studies on each side, below which nothing is fitted at all
STRENGTH = 1.0  # of the pull towards the old temperature, as of one study more
TEMPERATURES = (-3.0, 3.0)  # natural logarithms of the range searched


@dataclass(frozen=True)
class Calibration:
    """What turns a label's logits into a verdict on a study."""

    temperature: float
    threshold: float

    def scores(self, studies: Sequence[ScoredStudy], pooling: Pooling) -> Floats:
        """Study scores (n,) at this temperature, pooled as the service does."""
        return np.array([study_score(expit(one.logits / self.temperature), pooling) for one in studies])


def of_label(bundle: Bundle, number: int) -> Calibration:
    """What the bundle has now."""
    label = bundle.labels[number]
    return Calibration(label.temperature, label.positive_from)


def fit(bundle: Bundle, number: int, studies: Sequence[ScoredStudy]) -> Calibration:
    """The temperature that makes the studies' labels likeliest, then the threshold with the best Youden index.

    Labels belong to studies, so study scores are fitted, not slices: a study with the label has slices without.
    """
    labels = labels_of(studies)
    if min(int((labels == value).sum()) for value in (0, 1)) < LEAST:
        raise SystemExit(f"{len(labels)} studies, at least {LEAST} with the label and {LEAST} without are needed")
    old = of_label(bundle, number)

    def loss(log_temperature: float) -> float:
        scores = Calibration(float(np.exp(log_temperature)), old.threshold).scores(studies, bundle.pooling)
        away = log_temperature - np.log(old.temperature)
        return log_loss(labels, scores) * len(labels) + STRENGTH * float(away) ** 2

    temperature = round(float(np.exp(minimize_scalar(loss, bounds=TEMPERATURES, method="bounded").x)), 3)
    scores = Calibration(temperature, old.threshold).scores(studies, bundle.pooling)
    return Calibration(temperature, round(youden_threshold(labels, scores), 3))


def labels_of(studies: Sequence[ScoredStudy]) -> Labels:
    """Labels (n,)."""
    return np.array([one.label for one in studies], np.int64)


def log_loss(labels: Labels, scores: Floats) -> float:
    """Mean negative log-likelihood of the labels."""
    chances = np.clip(np.where(labels == 1, scores, 1 - scores), 1e-6, 1)
    return float(-np.log(chances).mean())


def candidate(bundle: LoadedBundle, number: int, new: Calibration, version: str, said: str) -> dict[str, bytes]:
    """The files of a bundle with another calibration of one label; `said`: of which data, for its readers.

    Figures of the old one don't hold for the new one and are left out; the signature is left out too: sign it anew.
    """
    manifest = bundle.manifest
    if [int(part) for part in version.split(".")] <= [int(part) for part in manifest.version.split(".")]:
        raise SystemExit(f"{version} isn't above {manifest.version}: raise the version")
    old, name = of_label(manifest, number), manifest.labels[number].name
    content: dict[str, Any] = json.loads(manifest.model_dump_json(exclude_none=True))
    content["version"] = version
    slices = moved([manifest.labels[number].threshold], old, new)[0]
    content["labels"][number] |= {
        "temperature": new.temperature,
        "threshold": slices,  # the same slices count as positive
        "study_threshold": new.threshold,
        "operating_points": [],
    }
    content["metrics"] = []
    content["limits"] = [
        f"{name} was calibrated anew ({said}): figures of {manifest.version} don't hold for it, and it has none yet.",
        *content["limits"],
    ]
    content["training_data"].append(f"Temperature and threshold of {name}: {said}.")
    measures = content.get("reference", {}).get("measures", {})
    if spread := measures.get(f"score:{name}"):
        spread["edges"] = edges = moved(spread["edges"], old, new)
        if not np.all(np.diff(edges) > 0):  # so sharp that edges fall together: no spread is better than a wrong one
            del measures[f"score:{name}"]
    files = {MODEL: bundle.model, MANIFEST: written(content)}
    open_bundle(files)
    return files


def moved(chances: Sequence[float], old: Calibration, new: Calibration) -> list[float]:
    """What slices with these probabilities have at another temperature."""
    found: list[float] = expit(logit(np.array(chances)) * old.temperature / new.temperature).tolist()
    return found
