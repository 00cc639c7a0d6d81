"""From trained weights to a bundle: export, prove, calibrate, measure, and write bundle.json with the figures."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from codetect_inference.bundle import MANIFEST, MODEL, LoadedBundle, open_bundle
from codetect_inference.engine import Engine, Outputs
from codetect_inference.signature import SIGNATURE

from codetect_training.about import ABOUT, LEARNT_FROM, NAME, SIDE, VERSION, limits
from codetect_training.baseline import guess, hands
from codetect_training.data import data_root
from codetect_training.datasets.dataset import Dataset, Part, open_dataset
from codetect_training.export import export_onnx, load_network, quantise_weights, torch_outputs
from codetect_training.metrics import (
    auc,
    fit_temperature,
    operating_point,
    probability,
    summary,
    youden_threshold,
)
from codetect_training.outliers import Telling, pooled
from codetect_training.reference import reference
from codetect_training.trying import alien, as_study, called_positive

FP32_TOLERANCE = 1e-3
INT8_AUC_COST = 0.002
SENSITIVITIES = (0.8, 0.9, 0.95)
USUAL = 0.99  # share of val that is called like the training data
BATCH = 8


def publish(run: Path, models: Path) -> Path:
    """Write `models`/NAME/VERSION from `run`/best.pt; stops when the export doesn't agree with what was trained."""
    folder = models / NAME / VERSION
    if (folder / SIGNATURE).exists():
        raise SystemExit(
            f"{folder} is signed: raise VERSION in about.py, and say there what is new, before you publish"
        )
    dataset = open_dataset("chest-ct")
    val = dataset.part("val")
    images = val.load(SIDE)
    network = load_network(run / "best.pt")
    told = Telling(network, pooled(network, typical(dataset.part("train"))))
    exported = export_onnx(told, SIDE)
    stored = quantise_weights(exported)
    said = answers(open_bundle(bundle_files(stored, {})), images)
    labels = val.labels
    logits = said.logits[:, 0].astype(np.float64)
    proof = prove(torch_outputs(told, images), onnx_outputs(exported, images), said, labels)
    (run / "proof.json").write_text(json.dumps(proof, indent=2))

    names = list(dataset.description.sources)
    alike = np.flatnonzero(np.isin(np.array(names)[val.sources], LEARNT_FROM))
    temperature = round(fit_temperature(labels[alike], logits[alike]), 3)
    chances = probability(logits, temperature)
    threshold = round(youden_threshold(labels[alike], chances[alike]), 3)
    assert said.distances is not None
    facts: dict[str, Any] = {
        "temperature": temperature,
        "threshold": threshold,
        "operating_points": points(labels[alike], chances[alike]),
        "outliers": {
            "threshold": round(float(np.quantile(said.distances[alike], USUAL)), 3),
            "how": f"Distance of the features from the training slices' (ADR 0098); {USUAL:.0%} of val lie below.",
        },
        "reference": reference(
            "val of " + ", ".join(LEARNT_FROM), images[alike], said.distances[alike], chances[alike]
        ),
    }
    facts["metrics"] = figures(dataset, val, chances, threshold)
    final = open_bundle(bundle_files(stored, facts))
    luna, lidc = (
        dataset.part("train").images(rows_of(dataset, one), SIDE) for one in ("luna16-slices", "lidc-idri-0001")
    )
    tried = {
        "luna16_called_positive": called_positive(final.manifest, answers(final, luna)),
        "nobody": {"study": "the study LIDC-IDRI-0001", **as_study(final.manifest, answers(final, lidc))},
        "alien": alien(
            final.manifest,
            images[alike],
            {
                "SARS-CoV-2 CT-scan dataset, val split": np.delete(images, alike, 0),
                "LUNA16's slices": luna[::4],
                "the study LIDC-IDRI-0001, from HU": lidc,
            },
            lambda given: answers(final, given),
            data_root(),
        ),
    }
    facts["limits"] = limits(facts["metrics"], tried)
    (run / "tried.json").write_text(json.dumps(tried, indent=2))
    np.savez(
        run / "predictions.npz",
        labels=labels,
        logits=logits,
        probabilities=chances,
        distances=said.distances,
        sources=np.array(names)[val.sources],
    )
    write(folder, bundle_files(stored, facts))
    return folder


def prove(torch_said: tuple[Any, ...], onnx_said: Outputs, stored: Outputs, labels: Any) -> dict[str, float]:
    """How far ONNX and the stored weights are from PyTorch. Raises SystemExit when too far."""
    logits, cams, distances = torch_said
    assert onnx_said.distances is not None
    proof = {
        "fp32_logits_max_difference": float(np.abs(onnx_said.logits - logits).max()),
        "fp32_cams_max_difference_share": float(np.abs(onnx_said.cams - cams).max() / np.abs(cams).max()),
        "fp32_distances_max_difference": float(np.abs(onnx_said.distances - distances).max()),
        "int8_logits_max_difference": float(np.abs(stored.logits - logits).max()),
        "auc_torch": auc(labels, logits[:, 0].astype(np.float64)),
        "auc_int8": auc(labels, stored.logits[:, 0].astype(np.float64)),
    }
    print(json.dumps(proof, indent=2), flush=True)
    if max(value for name, value in proof.items() if name.startswith("fp32")) > FP32_TOLERANCE:
        raise SystemExit("the exported model doesn't agree with PyTorch")
    if abs(proof["auc_torch"] - proof["auc_int8"]) >= INT8_AUC_COST:
        raise SystemExit("storing the weights as int8 costs too much")
    return proof


def figures(dataset: Dataset, val: Part, chances: Any, threshold: float) -> list[dict[str, Any]]:
    """The metrics of each source of val, beside what is guessed without looking at the lungs."""
    train, root = dataset.part("train"), data_root()
    found = []
    for number, name in enumerate(dataset.description.sources):
        rows = np.flatnonzero(val.sources == number)
        if not len(rows):
            continue
        known = np.flatnonzero(train.sources == number)
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


TITLES = {"covid-ct": "COVID-CT", "sars-cov-2-ct": "SARS-CoV-2 CT-scan dataset"}
NOTES = {
    "covid-ct": "Weights, temperature and threshold were chosen on these images: expect less elsewhere.",
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


def typical(train: Part) -> Any:
    """Training slices for the outliers' measure, as many of each source."""
    random, most = np.random.default_rng(2020), 425
    numbers = [list(train.dataset.description.sources).index(name) for name in LEARNT_FROM]
    rows = [np.flatnonzero(train.sources == one) for one in numbers]
    return train.images(np.concatenate([random.permutation(one)[:most] for one in rows]), SIDE)


def rows_of(dataset: Dataset, source: str) -> Any:
    """The rows of a source in the train part."""
    number = list(dataset.description.sources).index(source)
    return np.flatnonzero(dataset.part("train").sources == number)


def answers(bundle: LoadedBundle, images: Any) -> Outputs:
    """What the bundle says to images, through the service's own engine."""
    engine = Engine(bundle, "cpu")
    return Outputs.together(engine.map(images[at : at + BATCH] for at in range(0, len(images), BATCH)))


def bundle_files(model: onnx.ModelProto, facts: dict[str, Any]) -> dict[str, bytes]:
    """The bundle's files by name; without facts, one that is only good for measuring."""
    content = model.SerializeToString(deterministic=True)
    label = {
        "name": "covid_19",
        "title": "COVID-19 pneumonia",
        "threshold": facts.get("threshold", 0.5),
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
        "files": {MODEL: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
    }
    return {MODEL: content, MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()}


def onnx_outputs(model: onnx.ModelProto, images: Any) -> Outputs:
    """What the unquantised export says."""
    session = ort.InferenceSession(model.SerializeToString())
    names = ["logits", "cam", "distance"]
    return Outputs.together(
        Outputs(*session.run(names, {"image": images[at : at + BATCH]})) for at in range(0, len(images), BATCH)
    )


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the bundle, bundle.json last: without it there is no bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == MANIFEST):
        (folder / name).write_bytes(files[name])
