"""From trained weights to a bundle: exported, proved to say what was trained, then finished (finishing.py)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from codetect_inference.bundle import open_bundle

from codetect_training.about import LEARNT_FROM, NAME, SIDE, VERSION
from codetect_training.datasets.dataset import open_dataset
from codetect_training.export import export_onnx, load_network, quantise_weights, torch_outputs
from codetect_training.finishing import answers, bundle_files, finish
from codetect_training.metrics import auc
from codetect_training.outliers import Telling, pooled
from codetect_training.packing import unsigned, write
from codetect_training.proof import differences, onnx_outputs, stop_unless_alike
from codetect_training.trained import as_trained, trained


def publish(run: Path, models: Path) -> Path:
    """Write `models`/NAME/VERSION from `run`/best.pt; stops when the export doesn't agree with what was trained."""
    folder = unsigned(models / NAME / VERSION)
    dataset = open_dataset("chest-ct")
    train, val = dataset.part("train"), dataset.part("val")
    images, alike = val.load(SIDE), np.concatenate([val.of(one) for one in LEARNT_FROM])
    network = load_network(run / "best.pt")
    told = Telling(network, pooled(network, np.concatenate([train.images(train.of(one), SIDE) for one in LEARNT_FROM])))
    exported = export_onnx(told, SIDE)
    stored = quantise_weights(exported)
    said, torch_said = answers(open_bundle(bundle_files(stored, {})), images), torch_outputs(told, images)
    proof = differences(torch_said, onnx_outputs(exported, images), said) | {
        "auc_torch": auc(val.labels[alike], torch_said.logits[alike, 0].astype(np.float64)),
        "auc_int8": auc(val.labels[alike], said.logits[alike, 0].astype(np.float64)),
    }
    stop_unless_alike(proof, abs(proof["auc_torch"] - proof["auc_int8"]))
    (run / "proof.json").write_text(json.dumps(proof, indent=2))
    write(folder, as_trained(finish(stored, dataset, run), trained(run)))
    return folder
