"""What a bundle says to labelled studies, the service's own way, and its figures per slice and per study."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from codetect_inference.bundle import Bundle, LoadedBundle, open_folder
from codetect_inference.choose import choose_series
from codetect_inference.engine import Engine
from codetect_inference.explain import probabilities, study_score
from codetect_inference.preprocess import HU, Plan, plan_series, prepare_batch

from codetect_training.metrics import Floats, Labels, summary
from codetect_training.studies.series import FoundSeries, LeftOut, find_series
from codetect_training.studies.table import LabelTable

BATCH = 8
LEAST = 30  # labelled studies on each side before a figure on studies is one
CLUSTERED = "Slices bear their study's label and count as independent, so the interval is too narrow."


@dataclass(frozen=True)
class ScoredStudy:
    """One study: its series that was read, its label, logits and probabilities (n,) of its slices, and its score.

    `little_lung`: only its airway is shown; the service reads it all the same, with a warning.
    """

    study: str
    series: str
    label: int
    logits: Floats
    probabilities: Floats
    score: float
    little_lung: bool


@dataclass(frozen=True)
class Scored:
    """Studies in the folder's order, and what was left out."""

    studies: list[ScoredStudy]
    left_out: LeftOut

    def slices(self) -> tuple[Labels, Floats]:
        """Labels and probabilities (n,) of all slices together."""
        labels = [np.full(len(one.probabilities), one.label, np.int64) for one in self.studies]
        return together(labels, np.int64), together([one.probabilities for one in self.studies], np.float64)

    def scores(self) -> tuple[Labels, Floats]:
        """Labels and scores (n,) of the studies."""
        return np.array([one.label for one in self.studies], np.int64), np.array([one.score for one in self.studies])


def evaluate_studies(bundle: Path, folder: Path, table: LabelTable, path: Path, number: int) -> dict[str, Any]:
    """The figures of `bundle` on the DICOM files below `folder` for the label at that place; `table` lies at `path`."""
    loaded = open_folder(bundle)
    return figures(score_studies(loaded, folder, table, path, number), loaded.manifest, number)


def score_studies(bundle: LoadedBundle, folder: Path, table: LabelTable, path: Path, number: int) -> Scored:
    """Read every labelled study once."""
    left_out = LeftOut()
    labelled = label_series(find_series(folder, left_out, path), table, left_out)
    engine = Engine(bundle)
    found = [
        scored
        for label, series in chosen(labelled, left_out)
        if (scored := score(engine, bundle.manifest, series, label, number, left_out))
    ]
    return Scored(found, left_out)


def label_series(
    found: list[FoundSeries], table: LabelTable, left_out: LeftOut
) -> dict[str, list[tuple[int, FoundSeries]]]:
    """By study, the series that the table knows with their labels."""
    labelled: defaultdict[str, list[tuple[int, FoundSeries]]] = defaultdict(list)
    used: set[str] = set()
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for series in found:
        patients[series.study].add(series.names["PatientID"])
        key = series.names[table.known_by]
        word = table.said.get(key)
        used.add(key)
        if word is None:
            left_out.series["not in the label table"] += 1
        elif (label := table.words.of(word)) is None:
            left_out.series[f"labelled {word!r}, which is neither {table.words.name} nor {table.words.absent}"] += 1
        else:
            labelled[series.study].append((label, series))
    if table.others:
        left_out.rows["about other labels"] += table.others
    if missing := len(set(table.said) - used):
        left_out.rows[f"{table.known_by} without a readable axial CT series"] += missing
    for study in [study for study in labelled if len(patients[study]) > 1]:
        left_out.studies["mixed: of several patients"] += 1
        del labelled[study]
    for study in [study for study, those in labelled.items() if len({label for label, _ in those}) > 1]:
        left_out.studies["mixed: its series have different labels"] += 1
        del labelled[study]
    return labelled


def chosen(labelled: dict[str, list[tuple[int, FoundSeries]]], left_out: LeftOut) -> Iterator[tuple[int, FoundSeries]]:
    """Of each study's labelled series the one that the service would read."""
    for those in labelled.values():
        choice = choose_series([series for _, series in those])
        if choice is None:
            continue
        if others := len(those) - 1:
            left_out.series["the service reads another series of the study"] += others
        yield those[0][0], choice.series


def score(
    engine: Engine, bundle: Bundle, series: FoundSeries, label: int, number: int, left_out: LeftOut
) -> ScoredStudy | None:
    """Plan, prepare, run and pool one series as the worker does; None where it would find nothing to read."""
    hu = series.read(left_out)
    if not hu:
        left_out.series["no slice can be decoded"] += 1
        return None
    plan = plan_series(len(hu), hu.__getitem__, bundle.preprocessing.margin)
    if not plan.shows_lung:
        left_out.series["shows no lung"] += 1
        return None
    if others := len(hu) - len(plan.slices):
        left_out.slices["show no lung, so the service doesn't read them"] += others
    logits = np.concatenate([part.logits for part in engine.map(batches(hu, plan, bundle))])
    chances = probabilities(bundle, logits)[:, number]
    return ScoredStudy(
        series.study,
        series.names["SeriesInstanceUID"],
        label,
        logits[:, number].astype(np.float64),
        chances.astype(np.float64),
        study_score(chances, bundle.pooling),
        plan.little_lung,
    )


def batches(hu: list[HU], plan: Plan, bundle: Bundle) -> Iterator[Any]:
    """The planned slices as the model takes them."""
    for at in range(0, len(plan.slices), BATCH):
        those = [hu[index] for index in plan.slices[at : at + BATCH]]
        yield prepare_batch(those, plan.box, bundle.preprocessing)


def figures(scored: Scored, bundle: Bundle, number: int) -> dict[str, Any]:
    """Figures per slice and per study of one label, and what they leave out."""
    label = bundle.labels[number]
    slices, studies = scored.slices(), scored.scores()
    found: dict[str, Any] = {"label": label.name}
    found["slices"] = measured(*slices, label.threshold, "slice", 1)
    if "auc" in found["slices"]:
        found["slices"]["note"] = CLUSTERED
    found["studies"] = measured(*studies, label.positive_from, "study", LEAST)
    if little := sum(one.little_lung for one in scored.studies):
        found["studies"]["little_lung"] = little
    found["left_out"] = scored.left_out.told()
    return found


def measured(labels: Labels, scores: Floats, threshold: float, what: str, least: int) -> dict[str, Any]:
    """The figures, or how many there are and why there are none."""
    positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
    if min(positive, negative) >= least:
        return summary(labels, scores, threshold)
    plural = "studies" if what == "study" else "slices"
    return {
        "n": len(labels),
        "positive": positive,
        "negative": negative,
        "unmeasured": f"Unmeasured: {positive} {plural} with the label and {negative} without; "
        f"figures need at least {least} of each.",
    }


def together(parts: list[Any], kind: type) -> Any:
    """Arrays as one, also none of them."""
    return np.concatenate([np.zeros(0, kind), *parts])
