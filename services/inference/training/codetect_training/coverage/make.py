"""All steps of the second bundle: train, publish, card."""

from __future__ import annotations

import json
from pathlib import Path

from codetect_inference.bundle import open_folder

from codetect_training.coverage.card import draw, text
from codetect_training.coverage.data import NATIVE
from codetect_training.coverage.publish import NAME, VERSION, publish
from codetect_training.coverage.train import Recipe, train
from codetect_training.datasets.dataset import open_dataset
from codetect_training.packing import unsigned


def make(run: Path, models: Path, docs: Path, threads: int, trained: bool) -> Path:
    """Make the bundle in `models` and its card in `docs`; `trained`: with the weights that lie in `run`."""
    unsigned(models / NAME / VERSION)  # before the work
    dataset = open_dataset("lung-coverage", side=NATIVE)
    if not trained:
        train(dataset, run, Recipe(), threads)
    folder, sets, proof = publish(dataset, run, models)
    bundle = open_folder(folder)
    history, recipe = (json.loads((run / f"{name}.json").read_text()) for name in ("history", "recipe"))
    docs.mkdir(parents=True, exist_ok=True)
    draw(history, sets, bundle, docs / f"{NAME}.png")
    page = docs / f"{NAME}.md"
    page.write_text(text(bundle, history, recipe, proof))
    return page
