"""From a stored model to its bundle: calibrated on val, measured, tried, and said in bundle.json; needs no PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from codetect_inference.bundle import LoadedBundle, Preprocessing, open_bundle
from codetect_inference.engine import Outputs
from onnx import numpy_helper

from codetect_training.about import ABOUT, LABEL, LEARNT_FROM, SIDE, TITLES, limits
from codetect_training.asking import ask, batched
from codetect_training.baseline import guess, hands
from codetect_training.data import data_root
from codetect_training.datasets.dataset import Dataset, Part
from codetect_training.metrics import auc, fit_logistic, operating_point, probability, summary, youden_threshold
from codetect_training.ordinary import ordinary, whole_series
from codetect_training.packing import pack
from codetect_training.reference import reference
from codetect_training.simulated import likeness, study_scores
from codetect_training.trying import alien, as_study, called_positive

HOW = Preprocessing.model_validate(ABOUT["preprocessing"])
SENSITIVITIES = (0.8, 0.9, 0.95)
USUAL = 0.99  # share of val that is called like the training data
STAY_BELOW = 0.9  # share of simulated studies without disease


def finish(stored: onnx.ModelProto, dataset: Dataset, run: Path) -> dict[str, bytes]:
    """The files of the bundle of `stored`; what its card needs besides goes to `run`."""
    train, val = dataset.part("train"), dataset.part("val")
    images, labels = val.load(SIDE), val.labels
    said = answers(open_bundle(bundle_files(stored, {})), images)
    assert said.distances is not None
    alike = np.concatenate([val.of(one) for one in LEARNT_FROM])
    raw = said.logits[:, 0].astype(np.float64)
    temperature, lift = (round(one, 3) for one in fit_logistic(labels[alike], raw[alike]))
    model, logits = lifted(stored, lift), raw + lift
    chances = probability(logits, temperature)
    threshold = round(youden_threshold(labels[alike], chances[alike]), 3)
    facts: dict[str, Any] = {
        "temperature": temperature,
        "threshold": threshold,
        "operating_points": points(labels[alike], chances[alike]),
        "outliers": {
            "threshold": round(float(np.quantile(said.distances[alike], USUAL)), 3),
            "how": f"Distance of the features from the training slices' (ADR 0098); {USUAL:.0%} of val lie below.",
        },
    }
    ready = open_bundle(bundle_files(model, facts))
    usual, lidc = ordinary(train, HOW), whole_series(dataset, HOW)
    on_usual = answers(ready, usual.images)
    usual_logits = on_usual.logits[:, 0].astype(np.float64)
    usual_chances = probability(usual_logits, temperature)
    scores = study_scores(usual_chances, likeness(usual_logits, usual.patients), ready.manifest.pooling)
    facts["study_threshold"] = round(float(np.quantile(scores, STAY_BELOW)), 2)
    facts["reference"] = reference(usual.name, usual.images, {LABEL: usual_chances}, on_usual.distances)
    facts["metrics"] = figures(dataset, val, chances, threshold)
    final = open_bundle(bundle_files(model, facts))
    tried = {
        "luna16_called_positive": called_positive(final.manifest, on_usual),
        "study_threshold": facts["study_threshold"],
        "nobody": {"study": "the study LIDC-IDRI-0001", **as_study(final.manifest, answers(final, lidc))},
        "alien": alien(
            final.manifest,
            images[alike],
            {
                "SARS-CoV-2 CT-scan dataset, val split": np.delete(images, alike, 0),
                "LUNA16's slices": usual.images[::4],
                "the study LIDC-IDRI-0001, from HU": lidc,
            },
            lambda given: answers(final, given),
            data_root(),
        ),
    }
    facts["limits"] = limits(facts["metrics"], tried)
    run.mkdir(parents=True, exist_ok=True)
    (run / "tried.json").write_text(json.dumps(tried, indent=2))
    np.savez(
        run / "predictions.npz",
        labels=labels,
        logits=logits,
        probabilities=chances,
        distances=said.distances,
        sources=np.array(list(dataset.description.sources))[val.sources],
    )
    return bundle_files(model, facts)


def lifted(model: onnx.ModelProto, by: float) -> onnx.ModelProto:
    """The same model whose logits are higher by a constant: their bias, so that maps and all else agree with them."""
    raised = onnx.ModelProto()
    raised.CopyFrom(model)
    (last,) = (node for node in raised.graph.node if "logits" in node.output)
    (bias,) = (one for one in raised.graph.initializer if one.name in last.input)
    values = numpy_helper.to_array(bias) + np.float32(by)
    bias.CopyFrom(numpy_helper.from_array(values.astype(np.float32), bias.name))
    return raised


def figures(dataset: Dataset, val: Part, chances: Any, threshold: float) -> list[dict[str, Any]]:
    """The metrics of each source of val, beside what is guessed without looking at the lungs."""
    train, root = dataset.part("train"), data_root()
    found = []
    for name in dataset.description.sources:
        rows, known = val.of(name), train.of(name)
        if not len(rows):
            continue
        guessed = guess(
            hands([root / train.keys[row] for row in known]),
            train.labels[known],
            hands([root / val.keys[row] for row in rows]),
        )
        found.append(
            {
                "data": f"{TITLES[name]}, val split",
                **summary(val.labels[rows], chances[rows], threshold),
                "baseline_auc": round(auc(val.labels[rows], guessed), 4),
                "note": NOTES[name],
            }
        )
    return found


NOTES = {
    "covid-ct": "Weights, temperature and threshold were chosen on these images, and three covid images of train come "
    "from a paper that is in val, too: expect less elsewhere.",
    "sars-cov-2-ct": "Never seen in training: another hospital, other scanners. Patients aren't named, so slices of "
    "one patient count as if they were independent and the interval is too narrow.",
}


def points(labels: Any, chances: Any) -> list[dict[str, float]]:
    """Thresholds for chosen sensitivities."""
    found = [operating_point(labels, chances, wanted) for wanted in SENSITIVITIES]
    return [
        {"sensitivity": round(reached, 4), "specificity": round(cost, 4), "threshold": round(at, 4)}
        for reached, cost, at in found
    ]


def answers(bundle: LoadedBundle, images: Any) -> Outputs:
    """What the bundle says to images on the CPU, where its figures are measured."""
    return ask(bundle, batched(images), "cpu")


def bundle_files(model: onnx.ModelProto, facts: dict[str, Any]) -> dict[str, bytes]:
    """The bundle's files by name; without facts, one that is only good for measuring."""
    label = {
        "name": LABEL,
        "title": "COVID-19 pneumonia",
        "threshold": facts.get("threshold", 0.5),
        "study_threshold": facts.get("study_threshold"),
        "temperature": facts.get("temperature", 1.0),
        "operating_points": facts.get("operating_points", []),
    }
    manifest = {
        **ABOUT,
        "limits": facts.get("limits", []),
        "labels": [label],
        "metrics": facts.get("metrics", []),
        "outliers": facts.get("outliers", {"threshold": 1.0, "how": ""}),
        "reference": facts.get("reference"),
    }
    return pack(model, manifest)
