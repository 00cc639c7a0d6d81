"""Test-time flips: whether a bundle tells more of an image when it is asked of its mirror image, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import LoadedBundle, open_folder
from numpy.typing import NDArray

from codetect_training.about import NAME, VERSION
from codetect_training.asking import ask, batched
from codetect_training.datasets.dataset import open_dataset
from codetect_training.metrics import auc, auc_gain_interval, auc_interval

CLEAR = 0.01  # of AUC: what would be worth twice the cost of a slice


def measure(models: Path, runs: Path) -> Path:
    """Leave `runs`/flips.json: AUC on val by source, of the shipped bundle's logits and of their mean over flips."""
    bundle = open_folder(models / NAME / VERSION)
    dataset = open_dataset("chest-ct")
    val, side = dataset.part("val"), bundle.manifest.preprocessing.side
    images = val.load(side)
    once, twice = flipped(bundle, images)
    found = []
    for source in dataset.description.sources:
        if len(rows := val.of(source)):
            found.append({"source": source, **compared(val.labels[rows], once[rows], twice[rows])})
    path = runs / "flips.json"
    kept = {"bundle": f"{NAME} {VERSION}", "sha256": bundle.sha256, "side": side, "sources": found}
    path.write_text(json.dumps(kept, indent=2))
    return path


def flipped(bundle: LoadedBundle, images: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Images (n, 1, s, s) -> logits (n,) of the first label: as they are, and the mean with those of the mirror."""
    mirrored = np.ascontiguousarray(images[..., ::-1])
    once, other = (ask(bundle, batched(one), "cpu").logits[:, 0].astype(np.float64) for one in (images, mirrored))
    return once, (once + other) / 2


def compared(labels: NDArray[np.int64], once: NDArray[np.float64], twice: NDArray[np.float64]) -> dict[str, Any]:
    """What one look reaches and what two reach, and the gain on the same images, each with its 95 % interval."""
    return {
        "n": len(labels),
        "once": auc(labels, once),
        "once_ci95": auc_interval(labels, once),
        "twice": auc(labels, twice),
        "twice_ci95": auc_interval(labels, twice),
        "gain": auc(labels, twice) - auc(labels, once),
        "gain_ci95": auc_gain_interval(labels, once, twice),
    }


def as_text(runs: Path) -> str:
    """Their part of the page on what was tried."""
    path = runs / "flips.json"
    if not path.exists():
        return "Not measured: `scripts/train flips` does it."
    kept = json.loads(path.read_text())
    rows = "\n".join(row(one) for one in kept["sources"])
    clear = all(one["gain"] > CLEAR for one in kept["sources"])
    verdict = "It does." if clear else "It doesn't, so the bundle is asked once."
    return f"""Mean of the logits of an image and of its mirror image, left for right: `{kept["bundle"]}` at
{kept["side"]} px, on val. It doubles what a slice costs, so it would have to gain more than {CLEAR} of AUC on each
source. {verdict}

| data | n | asked once (95 %) | asked twice (95 %) | gain (95 %) |
| --- | --- | --- | --- | --- |
{rows}"""


def row(found: dict[str, Any]) -> str:
    """One source's line."""

    def told(what: str, sign: str = "") -> str:
        low, high = found[f"{what}_ci95"]
        return f"{found[what]:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"

    return f"| {found['source']} | {found['n']} | {told('once')} | {told('twice')} | {told('gain', '+')} |"
