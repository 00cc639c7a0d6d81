"""From trained weights to the bundle: export, prove, calibrate on val, measure on test and on a series in HU."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from codetect_inference.bundle import MANIFEST, MODEL, LoadedBundle, open_bundle
from codetect_inference.engine import Engine, Outputs, Way
from codetect_inference.explain import probabilities
from numpy.typing import NDArray

from codetect_training.coverage.data import HOW, LABELS, Slices, from_images, from_series
from codetect_training.coverage.network import SmallCamDenseNet
from codetect_training.datasets.dataset import Dataset
from codetect_training.export import export_onnx, quantise_weights, torch_outputs
from codetect_training.metrics import auc, fit_temperature, probability, summary, youden_threshold

NAME, VERSION = "lung-coverage-densenet", "1.0.0"
TITLES = {
    "lung_fifth": "Lung fills a fifth of the section",
    "lung_third": "Lung fills a third of the section",
}
TOLERANCE = 1e-3
INT8_AUC_COST = 0.002
BINS = 10

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
    logits = outputs(open_bundle(plain), val.images).logits.astype(np.float64)
    proof = proved(network, exported, val, logits)
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
    folder.mkdir(parents=True, exist_ok=True)
    files = bundle_files(stored, fitted, metrics, reference(seen))
    for name in sorted(files, key=lambda name: name == MANIFEST):  # without bundle.json there is no bundle
        (folder / name).write_bytes(files[name])
    return folder, sets, proof


def proved(
    network: SmallCamDenseNet, exported: onnx.ModelProto, val: Slices, int8: NDArray[np.float64]
) -> dict[str, Any]:
    """How far the exports are from PyTorch on val; stops where that's too far."""
    logits, cams = torch_outputs(network, val.images)
    session = ort.InferenceSession(exported.SerializeToString())
    float_logits, float_cams = session.run(["logits", "cam"], {"image": val.images})
    aucs = [
        (auc(labels, one.astype(np.float64)), auc(labels, other))
        for labels, one, other in zip(val.labels.T, logits.T, int8.T, strict=True)
    ]
    proof = {
        "fp32_logits_max_difference": float(np.abs(float_logits - logits).max()),
        "fp32_cams_max_difference_share": float(np.abs(float_cams - cams).max() / np.abs(cams).max()),
        "int8_logits_max_difference": float(np.abs(int8 - logits).max()),
        "int8_auc_cost": max(abs(one - other) for one, other in aucs),
    }
    print(json.dumps(proof, indent=2), flush=True)
    if max(proof["fp32_logits_max_difference"], proof["fp32_cams_max_difference_share"]) > TOLERANCE:
        raise SystemExit("the exported model doesn't agree with PyTorch")
    if proof["int8_auc_cost"] >= INT8_AUC_COST:
        raise SystemExit("storing the weights as int8 costs too much")
    return proof


def outputs(bundle: LoadedBundle, images: NDArray[np.float32]) -> Outputs:
    """What the service's engine makes of images."""
    engine = Engine(bundle, "cpu", Way(1))
    return Outputs.together(engine.map(images[at : at + 8] for at in range(0, len(images), 8)))


def found(bundle: LoadedBundle, slices: Slices) -> Found:
    """Slices with what the bundle says to them."""
    said = outputs(bundle, slices.images)
    return Found(slices, said, probabilities(bundle.manifest, said.logits).astype(np.float64))


def measure(name: str, one: Found, column: int, threshold: float) -> dict[str, Any]:
    """Figures of one label on one set, with what the input's mean grey alone would reach."""
    label, labels = list(LABELS)[column], one.slices.labels[:, column]
    darkness = auc(labels, -one.slices.images.mean((1, 2, 3)).astype(np.float64))
    note = f"{labels.mean():.0%} positive. The darkness of the picture alone reaches an AUC of {darkness:.3f}."
    if "LIDC" in name:
        note += " One patient, neighbours alike: the interval is far too narrow."
    return {"data": f"{name}: {label}", **summary(labels, one.probabilities[:, column], threshold), "note": note}


def reference(seen: Found) -> dict[str, Any]:
    """How inputs and scores were spread over the training slices, in tenths."""
    images = seen.slices.images
    spread = {"input_mean": images.mean((1, 2, 3)), "input_spread": images.std((1, 2, 3))}
    spread |= {f"score:{name}": seen.probabilities[:, column] for column, name in enumerate(LABELS)}
    measures = {}
    for name, values in spread.items():
        edges = np.unique(np.round(np.quantile(values, np.arange(1, BINS) / BINS), 4))
        edges = edges[(edges > 0.001) & (edges < 0.999)]  # scores gather at 0 and 1: one bin for each end
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        measures[name] = {"edges": edges.tolist(), "shares": (counts / len(values)).round(5).tolist()}
    return {"data": "LUNA16 slices, train split", "n": len(images), "measures": measures}


def bundle_files(
    model: onnx.ModelProto,
    fitted: list[tuple[float, float]],
    metrics: list[dict[str, Any]],
    spread: dict[str, Any] | None,
) -> dict[str, bytes]:
    """The bundle's files by name; `fitted`: temperature and threshold of each label."""
    content = model.SerializeToString(deterministic=True)
    labels = [
        {"name": name, "title": TITLES[name], "threshold": threshold, "temperature": temperature}
        for name, (temperature, threshold) in zip(LABELS, fitted, strict=True)
    ]
    files = {MODEL: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    manifest = {**ABOUT, "labels": labels, "metrics": metrics, "files": files} | (
        {"reference": spread} if spread else {}
    )
    return {MODEL: content, MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()}
