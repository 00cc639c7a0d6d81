"""From trained weights to the bundle: export, prove, calibrate on val, measure on test and on a series in HU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from codetect_inference.bundle import LoadedBundle, open_bundle
from codetect_inference.engine import Outputs
from codetect_inference.explain import probabilities
from numpy.typing import NDArray

from codetect_training.asking import ask, batched
from codetect_training.coverage.data import HOW, LABELS, Slices, from_images, from_series
from codetect_training.coverage.network import SmallCamDenseNet
from codetect_training.datasets.dataset import Dataset
from codetect_training.export import export_onnx, quantise_weights, torch_outputs
from codetect_training.metrics import auc, fit_temperature, probability, summary, youden_threshold
from codetect_training.packing import pack, write
from codetect_training.proof import differences, onnx_outputs, stop_unless_alike
from codetect_training.reference import reference

NAME, VERSION = "lung-coverage-densenet", "1.0.0"
TITLES = {
    "lung_fifth": "Lung fills a fifth of the section",
    "lung_third": "Lung fills a third of the section",
}

ABOUT: dict[str, Any] = {
    "schema_version": 1,
    "name": NAME,
    "version": VERSION,
    "title": "Lung coverage of chest CT slices (technical example)",
    "preprocessing": HOW.model_dump(),
    "pooling": {"method": "mean_of_highest", "share": 0.2, "at_least": 3},
    "few_slices": 10,
    "intended_use": (
        "A technical example: it shows that CoDetect serves another model, with other labels, thresholds and "
        "preprocessing, without code. It estimates how much of the body's section lung fills; it knows no disease. "
        "Not a medical device. Not for clinical use."
    ),
    "limits": [
        "Neither label is a finding: slices above the diaphragm are positive in healthy people.",
        "Its labels were computed by CoDetect's own lung mask, so it learnt that mask with its mistakes: consolidated "
        "lung, effusions and collapsed lung aren't counted as lung. It can't be better than the mask.",
        "Who wants the number should take the mask: this model approximates a measurement that needs none.",
        "Trained on 660 slices of adults from LIDC-IDRI, in one window and at 256 pixels; children, arms beside the "
        "chest and prone scans are rare or missing.",
        "Temperatures and thresholds were fitted to 143 slices, of which only 23 are without lung_fifth.",
        "Slices were labelled, not studies: the study score, a mean over the slices with most lung, is unmeasured.",
        "It can't tell that an input is unlike its training data.",
    ],
    "training_data": [
        "LUNA16 slices (LIDC-IDRI, doi 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0): of 1,000 slices of 500 patients, "
        "split by patient, the 660 of 700 in train that show lung. Weights started at random."
    ],
}


@dataclass(frozen=True)
class Found:
    """Slices and what the bundle says to them: logits and maps, probabilities (n, labels)."""

    slices: Slices
    outputs: Outputs
    probabilities: NDArray[np.float64]


def publish(dataset: Dataset, run: Path, models: Path) -> tuple[Path, dict[str, Found], dict[str, Any]]:
    """Write `models`/NAME/VERSION from `run`/best.pt; stops when the export doesn't agree with what was trained."""
    network = SmallCamDenseNet().eval()
    network.load_state_dict(torch.load(run / "best.pt", weights_only=True))
    exported = export_onnx(network, HOW.side)
    stored = quantise_weights(exported)
    val = from_images(dataset, "val")
    plain = bundle_files(stored, [(1.0, 0.5)] * len(LABELS), [], None)
    said, torch_said = ask(open_bundle(plain), batched(val.images), "cpu"), torch_outputs(network, val.images)
    logits = said.logits.astype(np.float64)
    proof = differences(torch_said, onnx_outputs(exported, val.images), said) | {
        "int8_auc_cost": auc_cost(val.labels, torch_said.logits.astype(np.float64), logits)
    }
    stop_unless_alike(proof, proof["int8_auc_cost"])
    fitted = []
    for column in range(len(LABELS)):
        labels = val.labels[:, column]
        temperature = round(fit_temperature(labels, logits[:, column]), 3)
        chances = probability(logits[:, column], temperature)
        fitted.append((temperature, round(youden_threshold(labels, chances), 3)))
    ready = open_bundle(bundle_files(stored, fitted, [], None))
    sets = {
        "LUNA16 slices, test split": found(ready, from_images(dataset, "test")),
        "LIDC-IDRI-0001, every slice that shows lung, from HU": found(ready, from_series(dataset)),
    }
    seen = found(ready, from_images(dataset, "train"))
    metrics = [
        measure(name, one, column, fitted[column][1]) for name, one in sets.items() for column in range(len(LABELS))
    ]
    folder = models / NAME / VERSION
    scores = {name: seen.probabilities[:, column] for column, name in enumerate(LABELS)}
    spread = reference("LUNA16 slices, train split", seen.slices.images, scores)
    write(folder, bundle_files(stored, fitted, metrics, spread))
    return folder, sets, proof


def auc_cost(labels: NDArray[np.int64], torch_logits: NDArray[np.float64], logits: NDArray[np.float64]) -> float:
    """The greatest loss of AUC by storing the weights, of all labels."""
    columns = zip(labels.T, torch_logits.T, logits.T, strict=True)
    return max(abs(auc(those, one) - auc(those, other)) for those, one, other in columns)


def found(bundle: LoadedBundle, slices: Slices) -> Found:
    """Slices with what the bundle says to them."""
    said = ask(bundle, batched(slices.images), "cpu")
    return Found(slices, said, probabilities(bundle.manifest, said.logits).astype(np.float64))


def measure(name: str, one: Found, column: int, threshold: float) -> dict[str, Any]:
    """Figures of one label on one set, with what the input's mean grey alone would reach."""
    label, labels = list(LABELS)[column], one.slices.labels[:, column]
    darkness = auc(labels, -one.slices.images.mean((1, 2, 3)).astype(np.float64))
    note = f"{labels.mean():.0%} positive. The darkness of the picture alone reaches an AUC of {darkness:.3f}."
    if "LIDC" in name:
        note += " One patient, neighbours alike: the interval is far too narrow."
    return {"data": f"{name}: {label}", **summary(labels, one.probabilities[:, column], threshold), "note": note}


def bundle_files(
    model: onnx.ModelProto,
    fitted: list[tuple[float, float]],
    metrics: list[dict[str, Any]],
    spread: dict[str, Any] | None,
) -> dict[str, bytes]:
    """The bundle's files by name; `fitted`: temperature and threshold of each label."""
    labels = [
        {"name": name, "title": TITLES[name], "threshold": threshold, "temperature": temperature}
        for name, (temperature, threshold) in zip(LABELS, fitted, strict=True)
    ]
    manifest = {**ABOUT, "labels": labels, "metrics": metrics} | ({"reference": spread} if spread else {})
    return pack(model, manifest)
