"""The card of the second bundle: bundle.json's words and figures, plots, slices with their maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import LoadedBundle
from codetect_inference.drawing import overlay
from codetect_inference.explain import Maps
from codetect_inference.preprocess import Box
from matplotlib.figure import Figure

from codetect_training.coverage.data import HOW, LABELS
from codetect_training.coverage.publish import Found
from codetect_training.plots import COLOURS, curve

EXAMPLES = 6


def draw(history: list[dict[str, Any]], sets: dict[str, Found], bundle: LoadedBundle, path: Path) -> None:
    """Learning, ROC on test, probability against the share measured; below, slices with what adds to `lung_third`."""
    test, series = sets.values()
    figure: Any = Figure(figsize=(12, 6.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1), hspace=0.05)
    learning, roc, measured = above.subplots(1, 3)
    epochs = [line["epoch"] for line in history]
    learning.plot(epochs, [line["loss"] for line in history], color="#777", lw=1)
    learning.set(title="Learning", xlabel="epoch", ylabel="training loss")
    right = learning.twinx()
    right.set_ylabel("AUC on val")
    right.set_ylim(0.8, 1.005)
    for column, (name, colour) in enumerate(zip(LABELS, COLOURS, strict=True)):
        label = bundle.manifest.labels[column]
        right.plot(epochs, [line["val_auc"][column] for line in history], color=colour, label=name)
        truth, chance = test.slices.labels[:, column], test.probabilities[:, column]
        roc.plot(*curve(truth, chance), color=colour, label=f"{name}, AUC {bundle.manifest.metrics[column].auc:.3f}")
        called = chance >= label.threshold
        roc.plot(called[truth == 0].mean(), called[truth == 1].mean(), "o", color=colour)
        measured.plot(test.slices.shares, chance, ".", ms=4, color=colour, label=name)
        measured.axvline(LABELS[name], color=colour, lw=1, ls=":")
    right.legend(fontsize=8, frameon=False, loc="center right")
    roc.plot([0, 1], [0, 1], color="#ccc", lw=1, zorder=0)
    roc.set(title="ROC on test (dot: at the threshold)", xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    roc.legend(fontsize=8, frameon=False, loc="lower right")
    measured.set(
        title="Test slices", xlabel="share of the section that the mask calls lung", ylabel="probability given"
    )
    measured.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.1))
    examples(below, series, bundle)
    figure.savefig(path, dpi=90)


def examples(figure: Any, series: Found, bundle: LoadedBundle) -> None:
    """Slices of LIDC-IDRI-0001 from feet to head, each with its map for `lung_third`."""
    column, count = len(LABELS) - 1, len(series.slices.shares)
    whole = Box(0, HOW.side, 0, HOW.side)
    rows = np.linspace(3, count - 4, EXAMPLES).astype(int)
    maps = Maps(np.arange(count, dtype=np.int32), series.outputs.logits, series.outputs.cams.astype(np.float16), whole)
    for axes, row in zip(figure.subplots(1, EXAMPLES), rows, strict=True):
        axes.imshow(series.slices.images[row, 0], cmap="gray", vmin=0, vmax=1)
        shape = (HOW.side, HOW.side)
        axes.imshow(overlay(maps, row, column, shape, bundle.manifest.labels[column].temperature))
        axes.set_title(f"lung {series.slices.shares[row]:.0%}, p {series.probabilities[row, column]:.2f}", fontsize=9)
        axes.axis("off")


def text(bundle: LoadedBundle, history: list[dict[str, Any]], recipe: dict[str, Any], proof: dict[str, Any]) -> str:
    """The card as Markdown."""
    manifest = bundle.manifest
    rows = "\n".join(
        f"| {m.data} | {m.n} | {m.auc:.3f} ({m.auc_ci95[0]:.3f} to {m.auc_ci95[1]:.3f}) | {m.accuracy:.3f} "
        f"| {m.f1:.3f} | {m.sensitivity:.3f} | {m.specificity:.3f} | {m.ece:.3f} | {m.note} |"
        for m in manifest.metrics
    )
    limits, sources = ("\n".join(f"- {one}" for one in many) for many in (manifest.limits, manifest.training_data))
    labels = "\n".join(
        f"| `{one.name}` | {one.title} | {LABELS[one.name]:.3f} | {one.threshold} | {one.temperature} |"
        for one in manifest.labels
    )
    how, size = manifest.preprocessing, manifest.files["model.onnx"].bytes
    minutes = sum(line["seconds"] for line in history) / 60
    maps_differ = proof["fp32_cams_max_difference_share"]
    return f"""# {manifest.title}

`{manifest.name}` {manifest.version}, SHA-256 of bundle.json `{bundle.sha256}`. Written by `scripts/train coverage`.

{manifest.intended_use}

Two labels of one measure, so that one bundle shows several labels:

| label | title | least share of the section | threshold | temperature |
| --- | --- | --- | --- | --- |
{labels}

## What it scores

Slice by slice, with the stored int8 weights ({size / 1000:.0f} kB) and the service's own preparation and engine:

| data | n | AUC (95 % interval) | accuracy | F1 | sensitivity | specificity | calibration error | note |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

LIDC-IDRI-0001 and its patient's two slices in LUNA16 were kept out of train and val. Of both sets only slices that show
lung count (at least 4 % of the section), as the service reads no others. Study by study nothing is measured: there is
one whole study. Much of the answer is how dark the picture is, as the notes say: an easy task, chosen since anyone can
check it.

![Learning, ROC, probability against share, examples](lung-coverage-densenet.png)

Below, slices of LIDC-IDRI-0001 from feet to head with the share that the mask measures, the probability of `lung_third`
and what adds to it. They are from LIDC-IDRI, Armato et al., <https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX>, CC BY 3.0
(<https://creativecommons.org/licenses/by/3.0/>); cropped, windowed, coloured.

## How the labels are made

No person labelled anything. Of each slice the service's `body_mask` and `lung_mask` (in
`codetect_inference/preprocess.py`) are taken alone, on a small copy of about 128 pixels; a slice is positive when lung
pixels / body pixels reach the label's share. LUNA16's JPEGs are HU through the window from -1000 to 400 (both images of
LIDC-IDRI-0001 agree with its DICOM slices: correlation 0.9996), so they are put back into HU first. Anyone can check:
`codetect_training.coverage.data.measure`.

## What it must not be used for

{limits}

## How it was made

{sources}
- Nothing was chosen by test. By val: temperature and threshold alone; the weights are the last of a moving average.
- DenseNet of 4 blocks with 2, 3, 4 and 3 layers (MONAI), 16 channels growing by 12, one grey channel, {how.side} px,
  level {how.level_hu:g}, width {how.width_hu:g}, margin {how.margin}, each image standardised inside the model.
- {recipe["epochs"]} epochs, batches of {recipe["batch"]}, AdamW, one-cycle rate up to {recipe["rate"]}, seed
  {recipe["seed"]}; {minutes:.0f} minutes on one shared CPU core.
- Again: `scripts/train coverage` (description `services/inference/training/datasets/lung-coverage.yaml`).

## Export

| check on val | measured | limit |
| --- | --- | --- |
| fp32 ONNX against PyTorch, greatest difference of a logit | {proof["fp32_logits_max_difference"]:.1e} | 1e-3 |
| fp32 ONNX against PyTorch, greatest difference in a map, as a share of the maps' range | {maps_differ:.1e} | 1e-3 |
| int8 weights against PyTorch, greatest difference of a logit | {proof["int8_logits_max_difference"]:.3f} | |
| AUC, greatest cost of int8 weights | {proof["int8_auc_cost"]:.4f} | 0.002 |
"""
