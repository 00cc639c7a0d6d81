"""The model card: bundle.json's words and figures, plots of how it learnt and how far to trust it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import Bundle, LoadedBundle, Metrics, open_folder
from matplotlib.figure import Figure

from codetect_training.evaluate import Predictions
from codetect_training.publish import NAME, VERSION

COLOURS = ("#1b6ca8", "#c8553d")


def write_card(run: Path, models: Path, docs: Path) -> Path:
    """Write `docs`/NAME.md and its picture from the bundle in `models` and the history in `run`."""
    bundle = open_folder(models / NAME / VERSION)
    docs.mkdir(parents=True, exist_ok=True)
    history = json.loads((run / "history.json").read_text())
    picture = docs / f"{NAME}.png"
    draw(history, measured(run), bundle.manifest, picture)
    page = docs / f"{NAME}.md"
    proof = json.loads((run / "proof.json").read_text())
    recipe = json.loads((run / "recipe.json").read_text())
    note = run / "note.txt"  # what somebody did to this run by hand
    said = f"\n- {note.read_text().strip()}" if note.exists() else ""
    page.write_text(text(bundle, proof, recipe, history, picture.name).replace("{note}", said))
    return page


def measured(run: Path) -> dict[str, Predictions]:
    """What `publish` found on the labelled data sets, under the names of the bundle's metrics."""
    with np.load(run / "predictions.npz") as kept:
        return {name: Predictions(kept[name][0].astype(np.int64), *kept[name][1:]) for name in kept}


def draw(history: list[dict[str, Any]], sets: dict[str, Predictions], manifest: Bundle, path: Path) -> None:
    """Three plots beside each other: learning, ROC with the threshold's point, reliability."""
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    learning, roc, reliability = figure.subplots(1, 3)
    learning.plot([line["epoch"] for line in history], [line["loss"] for line in history], color="#777", lw=1)
    learning.set(title="Learning", xlabel="epoch", ylabel="training loss (mixup, smoothed)")
    right = learning.twinx()
    points = [line for line in history if "val_auc" in line]
    right.plot([line["epoch"] for line in points], [line["val_auc"] for line in points], ".-", color=COLOURS[0])
    right.set_ylabel("AUC on val", color=COLOURS[0])
    for number, side in enumerate(sorted({line["side"] for line in history})[1:]):
        first = next(line["epoch"] for line in history if line["side"] == side)
        learning.axvline(first, color="#ccc", ls=":")
        learning.annotate(
            f"{side} px",
            (first, 1 - 0.06 * number),
            xycoords=("data", "axes fraction"),
            ha="right",
            va="top",
            fontsize=8,
        )
    for (name, found), colour, metric in zip(sets.items(), COLOURS, manifest.metrics, strict=False):
        wrong, right_share = curve(found)
        roc.plot(wrong, right_share, color=colour, label=f"{name}\nAUC {metric.auc:.3f}")
        roc.plot(1 - metric.specificity, metric.sensitivity, "o", color=colour)
        reliability.plot(*bins(found), "o-", color=colour, label=f"{name}\nECE {metric.ece:.3f}")
    roc.set(title="ROC (dot: at the threshold)", xlabel="1 - specificity", ylabel="sensitivity")
    reliability.set(title="Reliability", xlabel="probability given", ylabel="share that was covid")
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], color="#ccc", lw=1, zorder=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=90)


def curve(found: Predictions) -> tuple[Any, Any]:
    """The ROC curve as false and true positive shares."""
    order = np.argsort(-found.probabilities, kind="stable")
    hits = found.labels[order]
    return (
        np.concatenate([[0], np.cumsum(1 - hits) / (1 - hits).sum()]),
        np.concatenate([[0], np.cumsum(hits) / hits.sum()]),
    )


def bins(found: Predictions, count: int = 8) -> tuple[Any, Any]:
    """Mean probability and share of positives in groups of equal size."""
    groups = np.array_split(np.argsort(found.probabilities, kind="stable"), count)
    return [found.probabilities[group].mean() for group in groups], [found.labels[group].mean() for group in groups]


def text(
    bundle: LoadedBundle, proof: dict[str, Any], recipe: dict[str, Any], history: list[dict[str, Any]], picture: str
) -> str:
    """The card as Markdown."""
    manifest = bundle.manifest
    label, pooling = manifest.labels[0], manifest.pooling
    stages = ", ".join(f"{stage['epochs']} epochs at {stage['side']} px" for stage in recipe["stages"])
    best = max((line for line in history if line.get("best")), key=lambda line: line["epoch"])
    hours = sum(line["seconds"] for line in history) / 3600
    maps_differ = proof["fp32_cams_max_difference_share"]
    rows = "\n".join(row(metric) for metric in manifest.metrics)
    notes = "\n".join(f"- {metric.data}: {metric.note}" for metric in manifest.metrics)
    limits = "\n".join(f"- {limit}" for limit in manifest.limits)
    sources = "\n".join(f"- {source}" for source in manifest.training_data)
    return f"""# {manifest.title}

`{manifest.name}` {manifest.version}, SHA-256 of bundle.json `{bundle.sha256}`. Written by `scripts/train card`.

{manifest.intended_use}

## What it scores

Slice by slice, at the threshold {label.threshold}, with the stored int8 weights and the service's own engine:

| data | n | AUC (95 % interval) | accuracy | F1 | sensitivity | specificity | calibration error |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

{notes}
- LUNA16 slices (1,000 of 500 patients, made before 2011, so none shows COVID-19; any level of the chest):
  {proof["luna16_called_positive"]:.1%} are called positive.

![Learning, ROC and reliability]({picture})

Measure it yourself, without PyTorch:
`.venv/bin/python -m codetect_training evaluate --bundle models/{NAME}/{VERSION} --images FOLDER --json`.

## What it must not be used for

{limits}

## How it was made

{sources}
- DenseNet-169 (MONAI), one grey channel, each image standardised inside the model, {stages}; AdamW, one-cycle rate up
  to {recipe["rate"]}, mixup {recipe["mixup"]}, label smoothing {recipe["smoothing"]}, {recipe["precision"]}, seed
  {recipe["seed"]}; {hours:.1f} hours on two shared CPU cores. Images are turned, cropped, squeezed, mirrored, windowed
  anew, blurred, made noisy and covered in places, so that figures cut from papers and slices straight from HU look
  alike. Epoch {best["epoch"] + 1} of {len(history)} was chosen by its AUC on val, the {best["weights"]} weights rather
  than the other ones (`averaged`: a moving average; `network`: as the optimiser left them).{{note}}
- Slice probability: sigmoid(logit / {label.temperature}), the temperature fitted on val. Study score: mean of the
  highest {pooling.share:.0%} of slice probabilities, at least {pooling.at_least} slices (ADR 0010).
- No out-of-distribution score: nothing we could measure here tells unlike inputs apart honestly.

## Export

| check on val | measured | limit |
| --- | --- | --- |
| fp32 ONNX against PyTorch, greatest difference of a logit | {proof["fp32_logits_max_difference"]:.1e} | 1e-3 |
| fp32 ONNX against PyTorch, greatest difference in a map, as a share of the maps' range | {maps_differ:.1e} | 1e-3 |
| int8 weights against PyTorch, greatest difference of a logit | {proof["int8_logits_max_difference"]:.3f} | |
| AUC, PyTorch -> int8 weights | {proof["auc_torch"]:.4f} -> {proof["auc_int8"]:.4f} | 0.002 |
"""


def row(metric: Metrics) -> str:
    """One data set's line of the table."""
    low, high = metric.auc_ci95
    shares = (metric.accuracy, metric.f1, metric.sensitivity, metric.specificity, metric.ece)
    return (
        f"| {metric.data} | {metric.n} | {metric.auc:.3f} ({low:.3f} to {high:.3f}) | "
        + " | ".join(f"{share:.3f}" for share in shares)
        + " |"
    )
