"""The card's pictures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import Bundle, LoadedBundle
from codetect_inference.drawing import grey, overlay
from codetect_inference.explain import Maps, probabilities
from codetect_inference.preprocess import plan_series, prepare_batch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from codetect_training.about import TITLES
from codetect_training.asking import ask, batched
from codetect_training.data import data_root
from codetect_training.datasets.description import load_description
from codetect_training.datasets.volumes import series_in_hu

COLOURS = ("#1b6ca8", "#c8553d")
LIDC = "lidc-idri-0001"
SHOWN = 3  # slices among the examples

Numbers = Any  # arrays (n,)


def measured(run: Path) -> dict[str, tuple[Numbers, Numbers]]:
    """What `publish` found on val: source -> labels, probabilities."""
    with np.load(run / "predictions.npz") as kept:
        labels, chances, sources = kept["labels"], kept["probabilities"], kept["sources"]
    return {name: (labels[sources == name], chances[sources == name]) for name in dict.fromkeys(sources.tolist())}


def draw_figures(
    history: list[dict[str, Any]], sets: dict[str, tuple[Numbers, Numbers]], manifest: Bundle, path: Path
) -> None:
    """Learning if there was any, ROC with the threshold's point, reliability, the confusion at the threshold."""
    learnt = [line for line in history if "loss" in line]
    figure = Figure(figsize=(15 if learnt else 11.5, 3.9), layout="constrained")
    *learning, roc, reliability, confusion = figure.subplots(1, 4 if learnt else 3)
    for axes in learning:
        draw_learning(axes, history)
    for (name, (labels, chances)), colour, metric in zip(sets.items(), COLOURS, manifest.metrics, strict=True):
        roc.plot(*curve(labels, chances), color=colour, label=f"{TITLES[name]}\nAUC {metric.auc:.3f}")
        roc.plot(1 - metric.specificity, metric.sensitivity, "o", color=colour)
        reliability.plot(*bins(labels, chances), "o-", color=colour, label=f"{TITLES[name]}\nECE {metric.ece:.3f}")
    roc.set(title="ROC (dot: at the threshold)", xlabel="1 - specificity", ylabel="sensitivity")
    reliability.set(title="Reliability", xlabel="probability given", ylabel="share that was covid")
    for axes in (roc, reliability):
        axes.plot([0, 1], [0, 1], color="#ccc", lw=1, zorder=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(fontsize=8, frameon=False)
    labels, chances = sets["covid-ct"]
    called = chances >= manifest.labels[0].threshold
    counts = np.array([[int(((labels == is_) & (called == said)).sum()) for said in (0, 1)] for is_ in (0, 1)])
    confusion.imshow(counts, cmap="Blues", vmin=0, vmax=counts.max() * 1.6)
    for (is_, said), count in np.ndenumerate(counts):
        confusion.text(said, is_, str(count), ha="center", va="center", fontsize=13)
    words = ["noncovid", "covid"]
    confusion.set(title="COVID-CT val, at the threshold", xlabel="called", ylabel="is")
    confusion.set_xticks([0, 1], words)
    confusion.set_yticks([0, 1], words)
    figure.savefig(path, dpi=90)


def draw_learning(axes: Axes, history: list[dict[str, Any]]) -> None:
    """Loss and the judge's AUC by step; a line where the images grow."""
    steps = [line["step"] for line in history]
    learnt = [line for line in history if "loss" in line]
    axes.plot([line["step"] for line in learnt], [line["loss"] for line in learnt], color="#777", lw=1)
    axes.set(title="Learning", xlabel="step", ylabel="training loss")
    right = axes.twinx()
    right.plot(steps, [line["val_auc"] for line in history], ".-", color=COLOURS[0])
    right.set_ylabel("AUC on COVID-CT's val", color=COLOURS[0])
    for before, line in pairwise(history):
        if line["side"] != before["side"]:
            axes.axvline(before["step"], color="#ccc", ls=":")
            axes.annotate(
                f"{line['side']} px", (before["step"], 1), xycoords=("data", "axes fraction"), va="top", fontsize=8
            )


def curve(labels: Numbers, chances: Numbers) -> tuple[Numbers, Numbers]:
    """The ROC curve as false and true positive shares."""
    hits = labels[np.argsort(-chances, kind="stable")]
    wrong, right = np.cumsum(1 - hits) / (1 - hits).sum(), np.cumsum(hits) / hits.sum()
    return np.concatenate([[0], wrong]), np.concatenate([[0], right])


def bins(labels: Numbers, chances: Numbers, count: int = 8) -> tuple[Numbers, Numbers]:
    """Mean probability and share of positives in groups of equal size."""
    groups = np.array_split(np.argsort(chances, kind="stable"), count)
    return [chances[group].mean() for group in groups], [labels[group].mean() for group in groups]


def draw_examples(bundle: LoadedBundle, path: Path) -> None:
    """The slices of LIDC-IDRI-0001 that argue most for the first label, plain above and with the overlay below."""
    slices = series_in_hu(load_description(LIDC).sources[LIDC], data_root())
    how, label = bundle.manifest.preprocessing, bundle.manifest.labels[0]
    plan = plan_series(len(slices), slices.__getitem__, how.margin)
    maps = Maps.of(plan, ask(bundle, batched(prepare_batch((slices[n] for n in plan.slices), plan.box, how))))
    chances = probabilities(bundle.manifest, maps.logits)[:, 0]
    figure = Figure(figsize=(3 * SHOWN, 6.5), layout="constrained")
    for column, row in enumerate(np.argsort(-chances, kind="stable")[:SHOWN]):
        hu = slices[plan.slices[row]]
        picture = Image.fromarray(grey(hu, how.level_hu, how.width_hu)).convert("RGBA")
        heat = Image.fromarray(overlay(maps, int(row), 0, hu.shape, label.temperature))
        for line, shown in enumerate((picture, Image.alpha_composite(picture, heat))):
            axes = figure.add_subplot(2, SHOWN, line * SHOWN + column + 1)
            axes.imshow(shown)
            axes.set_axis_off()
            if not line:
                axes.set_title(f"slice {plan.slices[row] + 1} of {len(slices)}: {chances[row]:.2f}", fontsize=10)
    figure.savefig(path, dpi=80, pil_kwargs={"quality": 80})
