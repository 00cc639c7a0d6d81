"""A published bundle's model under a raised version: calibrated, measured and described anew, nothing trained."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from codetect_inference.bundle import open_folder

from codetect_training.about import NAME, VERSION
from codetect_training.datasets.dataset import open_dataset
from codetect_training.finishing import finish
from codetect_training.packing import write


def reissue(bundle: Path, run: Path, models: Path) -> Path:
    """Write `models`/NAME/VERSION (about.py) with the model of `bundle`; what its card needs goes to `run`."""
    before, folder = open_folder(bundle), models / NAME / VERSION
    if folder.exists():
        raise SystemExit(f"{folder} is there already: raise VERSION in about.py, and say there what is new")
    files = finish(onnx.load_model_from_string(before.model), open_dataset("chest-ct"), run)
    for name, kept in {"history": [], "proof": {"model_of": before.manifest.version}}.items():
        (run / f"{name}.json").write_text(json.dumps(kept))
    write(folder, files)
    return folder
