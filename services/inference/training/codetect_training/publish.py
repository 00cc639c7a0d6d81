"""From trained weights to a bundle: export, prove, calibrate, measure, and write bundle.json with the figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from codetect_inference.bundle import LoadedBundle, open_bundle
from codetect_inference.engine import Outputs
from codetect_inference.signature import SIGNATURE

from codetect_training.about import ABOUT, LABEL, LEARNT_FROM, NAME, SIDE, TITLES, VERSION, limits
from codetect_training.asking import ask, batched
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
from codetect_training.packing import pack, write
from codetect_training.proof import differences, onnx_outputs, stop_unless_alike
from codetect_training.reference import reference
from codetect_training.trying import alien, as_study, called_positive

SENSITIVITIES = (0.8, 0.9, 0.95)
USUAL = 0.99  # share of val that is called like the training data


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
    train = dataset.part("train")
    told = Telling(network, pooled(network, np.concatenate([train.images(train.of(one), SIDE) for one in LEARNT_FROM])))
    exported = export_onnx(told, SIDE)
    stored = quantise_weights(exported)
    said = answers(open_bundle(bundle_files(stored, {})), images)
    assert said.distances is not None
    labels = val.labels
    logits = said.logits[:, 0].astype(np.float64)
    torch_said = torch_outputs(told, images)
    proof = differences(torch_said, onnx_outputs(exported, images), said) | {
        "auc_torch": auc(labels, torch_said.logits[:, 0].astype(np.float64)),
        "auc_int8": auc(labels, logits),
    }
    stop_unless_alike(proof, abs(proof["auc_torch"] - proof["auc_int8"]))
    (run / "proof.json").write_text(json.dumps(proof, indent=2))

    alike = np.concatenate([val.of(one) for one in LEARNT_FROM])
    temperature = round(fit_temperature(labels[alike], logits[alike]), 3)
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
        "reference": reference(
            "val of " + ", ".join(LEARNT_FROM), images[alike], {LABEL: chances[alike]}, said.distances[alike]
        ),
    }
    facts["metrics"] = figures(dataset, val, chances, threshold)
    final = open_bundle(bundle_files(stored, facts))
    luna, lidc = (train.images(train.of(one), SIDE) for one in ("luna16-slices", "lidc-idri-0001"))
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
        sources=np.array(list(dataset.description.sources))[val.sources],
    )
    write(folder, bundle_files(stored, facts))
    return folder


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


def answers(bundle: LoadedBundle, images: Any) -> Outputs:
    """What the bundle says to images on the CPU, where its figures are measured."""
    return ask(bundle, batched(images), "cpu")


def bundle_files(model: onnx.ModelProto, facts: dict[str, Any]) -> dict[str, bytes]:
    """The bundle's files by name; without facts, one that is only good for measuring."""
    label = {
        "name": LABEL,
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
    }
    return pack(model, manifest)
