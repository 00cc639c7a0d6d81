"""The model card: bundle.json's words and figures, what was tried, plots of how far to trust it, examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codetect_inference.bundle import LoadedBundle, Metrics, open_folder

from codetect_training.about import HOW_MADE, NAME, VERSION
from codetect_training.plots import draw_examples, draw_figures, measured
from codetect_training.trained import Trained, trained
from codetect_training.trials import as_table

SAME_PAPER = """\
Three of the 191 covid images of COVID-CT's train split, as published, were learnt from and come from a paper
  that is in val, too ([data.md](data.md#who-is-on-which-side)): the figure on val may flatter for that as well."""
STORED = """\
What storing weights as int8 costs can't be shown with these weights: they were taken back out of the int8 bundle of
1.0.0 (`published.py`), so that int8 is compared with itself, and a difference of 0 says nothing. It was measured when
1.0.0 was exported from the weights that training left, on COVID-CT's val at 224 px: at most 0.037 of a logit, and the
same AUC, 0.8537, before and after."""


def write_card(run: Path, models: Path, docs: Path) -> Path:
    """Write `docs`/NAME.md and its pictures from the bundle in `models` and what `run` left."""
    folder = models / NAME / VERSION
    bundle = open_folder(folder)
    docs.mkdir(parents=True, exist_ok=True)
    kept = {name: json.loads((run / f"{name}.json").read_text()) for name in ("history", "proof", "tried")}
    draw_figures(kept["history"], measured(run), bundle.manifest, docs / f"{NAME}.png")
    draw_examples(bundle, docs / f"{NAME}-examples.jpg")
    page = docs / f"{NAME}.md"
    page.write_text(text(bundle, folder, kept, trained(run)))
    trials = docs / "trials.md"
    trials.write_text(as_table(run.parent, trials.read_text() if trials.exists() else ""))
    return page


def text(bundle: LoadedBundle, folder: Path, kept: dict[str, Any], made: Trained | None) -> str:
    """The card of the bundle in `folder` as Markdown; `made`: what was learnt besides what about.py tells."""
    manifest, proof = bundle.manifest, kept["proof"]
    label, pooling = manifest.labels[0], manifest.pooling
    assert manifest.outliers is not None
    rows = "\n".join(row(metric) for metric in manifest.metrics)
    notes = "\n".join(f"- {metric.data}: {metric.note}" for metric in manifest.metrics)
    limits = "\n".join(f"- {limit}" for limit in manifest.limits)
    sources = "\n".join(f"- {source}" for source in manifest.training_data)
    points = "\n".join(f"| {p.sensitivity:.3f} | {p.specificity:.3f} | {p.threshold} |" for p in label.operating_points)
    aliens = "\n".join(
        f"| {a['what']} | {a['n']} | {a['flagged']:.0%} | {a['auc']:.2f} |" for a in kept["tried"]["alien"]
    )
    nobody = kept["tried"]["nobody"]

    def unseen(source: str) -> str:
        return "learnt from" if made and source in made.seen else "not seen in training"

    return f"""# {manifest.title}

`{manifest.name}` {manifest.version}, SHA-256 of bundle.json `{bundle.sha256}`. Written by `scripts/train card`.

{manifest.intended_use}

## What it scores

Slice by slice, at the threshold {label.threshold}, with the stored int8 weights and the service's own engine. The
baseline looks at an image's size, shape, edges, spread and compression alone, never at lungs: labels that it guesses
say little of a model.

| data | n | AUC (95 % interval) | baseline's AUC | accuracy | F1 | sensitivity | specificity | calibration error |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

{notes}
- {SAME_PAPER}
- LUNA16 slices (of 500 patients, made before 2011, so none shows COVID-19; {unseen("luna16-slices")}; put back into
  HU, and those that show lung prepared as the worker does): {kept["tried"]["luna16_called_positive"]:.1%} are called
  positive.
- The study LIDC-IDRI-0001 (before 2011; {unseen("lidc-idri-0001")}): {nobody["probability"]:.2f}, called
  {"positive" if nobody["positive"] else "negative"}.
- Studies: unmeasured. There are no 30 + 30 labelled studies. Their threshold, {label.positive_from}, is the score
  below which nine of ten simulated studies without COVID-19 stay ([how](evaluating.md#the-threshold-of-studies)).

![ROC, reliability and confusion]({NAME}.png)

Other thresholds, on COVID-CT's val:

| sensitivity | specificity | threshold |
| --- | --- | --- |
{points}

Measure it yourself, without PyTorch:
`.venv/bin/python -m codetect_training evaluate --bundle {folder} --images FOLDER --json`.

## What it must not be used for

{limits}

## What it shows

![Three slices with overlays]({NAME}-examples.jpg)

The three slices of LIDC-IDRI-0001 that argue most for the finding, with the overlay that the service draws.
LIDC-IDRI, CC BY 3.0, doi 10.7937/K9/TCIA.2015.LO9QL9SX; windowed, scaled, overlaid. Much of what
argues lies outside the lungs: the map shows what the model looks at, not where disease is.

## What is unlike its training data

Distance of the pooled features from those of training slices, along and beside their main directions (ADR 0098); a
slice is unlike from {manifest.outliers.threshold} on, a study when the median of its slices is. 1 % of val lies
there, by choice.

| tried | n | flagged | AUC against val |
| --- | --- | --- | --- |
{aliens}

## How it was made

{sources}
{made.how_made if made else HOW_MADE}
- Slice probability: sigmoid(logit / {label.temperature}); the temperature, and a constant in the logit, were fitted on
  val. Study score: mean of the
  highest {pooling.share:.0%} of slice probabilities, at least {pooling.at_least} slices (ADR 0010).

## Export

{export(proof, made)}
"""


def export(proof: dict[str, Any], made: Trained | None) -> str:
    """What shows that the bundle says what was trained, or where that was shown."""
    if "model_of" in proof:
        return (
            f"The model is that of {proof['model_of']}, whose card (in the repository's history) compares fp32 ONNX "
            f"with PyTorch; only\nthe constant in its logit is new.\n\n{STORED}"
        )
    return f"""| check on val | measured | limit |
| --- | --- | --- |
| fp32 ONNX against PyTorch, greatest difference of a logit | {proof["fp32_logits_max_difference"]:.1e} | 1e-3 |
| the same of a map, as a share of the maps' range | {proof["fp32_cams_max_difference_share"]:.1e} | 1e-3 |
| the same of a distance | {proof["fp32_distances_max_difference"]:.1e} | 1e-3 |
| int8 weights against PyTorch, greatest difference of a logit | {proof["int8_logits_max_difference"]:.3f} | |
| AUC on COVID-CT's val, PyTorch -> int8 weights | {proof["auc_torch"]:.4f} -> {proof["auc_int8"]:.4f} | 0.002 |
{"" if made else chr(10) + STORED}"""


def row(metric: Metrics) -> str:
    """One data set's line of the table."""
    low, high = metric.auc_ci95
    shares = (metric.accuracy, metric.f1, metric.sensitivity, metric.specificity, metric.ece)
    return (
        f"| {metric.data} | {metric.n} | {metric.auc:.3f} ({low:.3f} to {high:.3f}) | {metric.baseline_auc:.3f} | "
        + " | ".join(f"{share:.3f}" for share in shares)
        + " |"
    )
