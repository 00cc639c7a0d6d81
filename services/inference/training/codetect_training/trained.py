"""What a bundle and its card say of how its weights were made, where they aren't those that about.py describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codetect_inference.bundle import MANIFEST

from codetect_training.about import TITLES
from codetect_training.datasets.dataset import open_dataset
from codetect_training.experiments import EXPERIMENTS
from codetect_training.packing import written

NAMES = {**TITLES, "luna16-slices": "LUNA16's slices", "lidc-idri-0001": "the study LIDC-IDRI-0001"}
STRANGE = "Never seen in training: another hospital, other scanners."


@dataclass(frozen=True)
class Trained:
    """What an experiment learnt up to `step`; `seen`: sources whose train slices its weights or its teachers saw."""

    name: str
    says: str
    step: int
    seen: frozenset[str]

    @property
    def sources(self) -> str:
        """Their titles."""
        return ", ".join(title for name, title in NAMES.items() if name in self.seen)

    @property
    def how_made(self) -> str:
        """For the card."""
        return (
            "- DenseNet-169 (MONAI), one grey channel, each image standardised inside the model. Experiment "
            f"`{self.name}`:\n  {self.says}. These are the weights after step {self.step}: the AUC on COVID-CT's val "
            "chose them, so it flatters."
        )


def trained(run: Path) -> Trained | None:
    """What a run learnt; None where nothing was better than what it began with, or it is no experiment."""
    best = [one["step"] for one in json.loads((run / "history.json").read_text()) if one["best"]]
    if run.name not in EXPERIMENTS or not best or not best[-1]:
        return None
    return Trained(run.name, EXPERIMENTS[run.name].says, best[-1], seen(run.name) | {"covid-ct"})


def seen(name: str) -> frozenset[str]:
    """The sources that an experiment, and those that it needs, learn from."""
    one = EXPERIMENTS[name]
    train = open_dataset(one.dataset).part("train")
    turns, least = dict(one.recipe.turns), 0 if one.labelled else -1
    drawn = frozenset(
        source
        for source, described in train.dataset.description.sources.items()
        if turns.get(source, described.turns) and (train.labels[train.of(source)] >= least).any()
    )
    return drawn.union(*map(seen, one.needs))


def as_trained(files: Mapping[str, bytes], made: Trained | None) -> dict[str, bytes]:
    """A bundle's files, saying what was learnt from instead of what about.py says of the weights of 1.0.0."""
    if made is None:
        return dict(files)
    content = json.loads(files[MANIFEST])
    content["training_data"] = [f"Train splits of {made.sources}. Experiment `{made.name}`: {made.says}."]
    for metric in content["metrics"]:
        if "sars-cov-2-ct" in made.seen:
            metric["note"] = metric["note"].replace(STRANGE, "Other slices of this source were learnt from.")
    content["limits"] = [
        f"Trained on {made.sources}; other scanners, doses and reconstruction kernels are untested."
        if one.startswith("Trained on")
        else one
        for one in content["limits"]
    ]
    return {**files, MANIFEST: written(content)}
