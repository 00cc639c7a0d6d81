"""From trained weights to a bundle: export, prove, calibrate, and write bundle.json with the figures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from codetect_inference.bundle import MANIFEST, MODEL, open_bundle

from codetect_training.data import data_root, open_folder, unlabelled
from codetect_training.evaluate import predict
from codetect_training.export import export_onnx, load_network, quantise_weights, torch_outputs
from codetect_training.metrics import auc, fit_temperature, probability, summary, youden_threshold

SIDE = 224
NAME, VERSION = "covid-ct-densenet169", "1.0.0"
FP32_TOLERANCE = 1e-3
INT8_AUC_COST = 0.002

ABOUT: dict[str, Any] = {
    "schema_version": 1,
    "name": NAME,
    "version": VERSION,
    "title": "COVID-19 pneumonia on chest CT (DenseNet-169)",
    "preprocessing": {"side": SIDE, "level_hu": -600, "width_hu": 1500, "margin": 0.02},
    "pooling": {"method": "mean_of_highest", "share": 0.2, "at_least": 3},
    "few_slices": 10,
    "intended_use": (
        "Research and teaching with axial chest CT: which slices look like the COVID-19 pneumonia of papers of 2020. "
        "Not a medical device. Not for clinical use."
    ),
    "limits": [
        "Trained on 425 images cut from papers, in any window, many with arrows and letters; other scanners, doses and "
        "reconstruction kernels are untested.",
        "Slices were labelled, not studies: the study score and its threshold are untested on whole studies.",
        "Covid and other images come from different sources, so part of what it learnt may be the source.",
        "It calls the study LIDC-IDRI-0001 positive, scanned years before COVID-19 existed, and its maps often point "
        "outside the lungs.",
        "Other pneumonias, oedema and tumours are barely among its negatives and can look positive.",
        "It can't tell that an input is unlike its training data.",
        "A low score doesn't rule anything out.",
    ],
    "training_data": [
        "COVID-CT (He et al. 2020, arXiv 2003.13865), train split: 191 covid, 234 noncovid images. Nothing else; "
        "weights started at random.",
    ],
}

NOTES = {
    "COVID-CT, val split": "Epoch, temperature and threshold were chosen on these images: expect less elsewhere.",
    "SARS-CoV-2 CT-scan dataset": "Never seen in training: another hospital, other scanners. Patients aren't named, so "
    "slices of one patient count as if they were independent and the interval is too narrow.",
}


def publish(run: Path, models: Path) -> Path:
    """Write `models`/NAME/VERSION from `run`/best.pt; stops when the export doesn't agree with what was trained."""
    data = data_root()
    val = open_folder(data / "covid-ct" / "val")
    network = load_network(run / "best.pt")
    exported = export_onnx(network, SIDE)
    stored = quantise_weights(exported)
    images = val.load(SIDE)
    logits, cams = torch_outputs(network, images)
    float_logits, float_cams = onnx_outputs(exported, images)
    int8 = predict(open_bundle(bundle_files(stored, 1.0, 0.5, [])), val)
    proof = {
        "fp32_logits_max_difference": float(np.abs(float_logits - logits).max()),
        "fp32_cams_max_difference_share": float(np.abs(float_cams - cams).max() / np.abs(cams).max()),
        "int8_logits_max_difference": float(np.abs(int8.logits - logits[:, 0]).max()),
        "auc_torch": auc(val.labels, logits[:, 0].astype(np.float64)),
        "auc_int8": auc(val.labels, int8.logits),
    }
    print(json.dumps(proof, indent=2), flush=True)
    if max(proof["fp32_logits_max_difference"], proof["fp32_cams_max_difference_share"]) > FP32_TOLERANCE:
        raise SystemExit("the exported model doesn't agree with PyTorch")
    if abs(proof["auc_torch"] - proof["auc_int8"]) >= INT8_AUC_COST:
        raise SystemExit("storing the weights as int8 costs too much")
    temperature = round(fit_temperature(val.labels, int8.logits), 3)
    threshold = round(youden_threshold(val.labels, probability(int8.logits, temperature)), 3)
    final = open_bundle(bundle_files(stored, temperature, threshold, []))
    sets = {
        "COVID-CT, val split": replace(int8, probabilities=probability(int8.logits, temperature)),
        "SARS-CoV-2 CT-scan dataset": predict(final, open_folder(data / "sars-cov-2-ct")),
    }
    metrics = [
        {"data": name, **summary(found.labels, found.probabilities, threshold), "note": NOTES[name]}
        for name, found in sets.items()
    ]
    proof["luna16_called_positive"] = float(
        (predict(final, unlabelled(data / "luna16-slices")).probabilities >= threshold).mean()
    )
    folder = models / NAME / VERSION
    write(folder, bundle_files(stored, temperature, threshold, metrics))
    (run / "proof.json").write_text(json.dumps(proof, indent=2))
    kept: dict[str, Any] = {
        name: np.stack([found.labels, found.logits, found.probabilities]) for name, found in sets.items()
    }
    np.savez(run / "predictions.npz", **kept)
    return folder


def carries_over(metric: dict[str, Any]) -> str:
    """The first limit: what is left of the figures elsewhere."""
    low, high = metric["auc_ci95"]
    worth = "it doesn't carry over to other hospitals" if low < 0.6 else "expect less than on its own data"
    return (
        f"On {metric['data']}, which it never saw, its AUC is {metric['auc']:.2f} ({low:.2f} to {high:.2f}; 0.5 is "
        f"chance): {worth}. Take its results as a demonstration of the platform, not as knowledge of a patient."
    )


def bundle_files(
    model: onnx.ModelProto, temperature: float, threshold: float, metrics: list[dict[str, Any]]
) -> dict[str, bytes]:
    """The bundle's files by name."""
    content = model.SerializeToString(deterministic=True)
    label = {"name": "covid_19", "title": "COVID-19 pneumonia", "threshold": threshold, "temperature": temperature}
    files = {MODEL: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    limits = [*map(carries_over, metrics[1:]), *ABOUT["limits"]]
    manifest = {**ABOUT, "limits": limits, "labels": [label], "metrics": metrics, "files": files}
    return {MODEL: content, MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()}


def onnx_outputs(model: onnx.ModelProto, images: Any) -> tuple[Any, Any]:
    """Logits and maps of the unquantised export."""
    session = ort.InferenceSession(model.SerializeToString())
    parts = [session.run(["logits", "cam"], {"image": images[at : at + 8]}) for at in range(0, len(images), 8)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def write(folder: Path, files: dict[str, bytes]) -> None:
    """Write the bundle, bundle.json last: without it there is no bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == MANIFEST):
        (folder / name).write_bytes(files[name])
