"""What was tried, by name; `scripts/train train --experiment NAME` makes it again (docs/models/trials.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from codetect_training import device
from codetect_training.contrastive import Contrasting, pretrained, probe
from codetect_training.datasets.dataset import open_dataset
from codetect_training.distil import FEATURES, Adviser, Distilling, Student
from codetect_training.network import CamDenseNet
from codetect_training.published import take_back
from codetect_training.runs import Judge, Recipe, Run, Stage, Task, answers
from codetect_training.supervised import Supervised
from codetect_training.teacher import Teacher, load_teacher

RUNS = Path(".training")
BEFORE = Path("models/covid-ct-densenet169/1.2.0")  # the weights of 1.0.0
MIXED = (("covid-ct", 4), ("sars-cov-2-ct", 2))  # of 8 turns; the others one each
ALL_ALIKE = (("covid-ct", 2), ("sars-cov-2-ct", 4), ("luna16-slices", 2), ("lidc-idri-0001", 0))  # without labels
KNOWN = (("covid-ct", 3), ("sars-cov-2-ct", 2), ("luna16-slices", 1))
PAPERS = (("covid-ct", 3), ("sars-cov-2-ct", 0), ("luna16-slices", 1))
# Steps that fitted into minutes of an NVIDIA H200, four teachers and then three students side by side.
TEACHERS = {
    ("papers", 0): (500, "COVID-CT and LUNA16", PAPERS),
    ("papers", 2): (450, "COVID-CT and LUNA16", PAPERS),
    ("known", 0): (550, "all slices whose label is known", KNOWN),
    ("known", 2): (400, "all slices whose label is known", KNOWN),
}
COVID_FIRST = (("covid-ct", 2),)  # the smaller set, and the one that the paper's test split resembles


@dataclass(frozen=True)
class Experiment:
    """One way to train. `needs`: experiments whose weights it starts from."""

    says: str
    recipe: Recipe
    make: Callable[[Path], Task]
    dataset: str = "chest-ct"
    labelled: bool = True
    needs: tuple[str, ...] = ()
    judge: Judge = answers


def fine_tuned(size: int, mixup: float) -> Task:
    """EfficientNet-Lite `size` that learns labels."""
    teacher = Teacher(size)
    return Supervised(teacher, teacher.body, mixup=mixup)


def teaching(size: int, runs: Path) -> Task:
    """The same, strongly mixed, as an experiment makes it."""
    return fine_tuned(size, mixup=0.3)


def from_nothing(runs: Path) -> Task:
    """DenseNet-169 on labels alone."""
    return Supervised(Student([]), None)


def known(network: CamDenseNet) -> Task:
    """DenseNet-169 going on from what it knows, on labels alone."""
    student = Student([])
    student.network = network
    return Supervised(student, None)


def tuned(runs: Path) -> Task:
    """DenseNet-169 on labels, on what it learnt to see without them."""
    student = pretrained(runs / "contrastive")
    return Supervised(student, student.network.net.features)


def published() -> CamDenseNet:
    """DenseNet-169 as the bundle before this one has it."""
    train = open_dataset("chest-ct").part("train")
    typical = torch.from_numpy(train.images(train.of("covid-ct")[::6], 224))
    return take_back(BEFORE, typical.to(torch.get_default_device()))


def teacher(runs: Path, name: str = "teacher-covid", size: int = 0, side: int = 160) -> Adviser:
    """A fine-tuned teacher; at first, the better of two."""
    found = load_teacher(size, runs / name / "best.pt")
    return Adviser(found, side, found.width)


def four(runs: Path) -> list[Adviser]:
    """Teachers of two sizes, each on COVID-CT and LUNA16 alone and on all that is known."""
    return [teacher(runs, f"teacher-{data}-{size}", size, 224) for data, size in TEACHERS]


def long(steps: int) -> Recipe:
    """Many large batches, for a GPU."""
    return Recipe((Stage(192, steps, 96),), average=0.998, look_every=steps // 20, turns=KNOWN, looked_at=("averaged",))


def itself(side: int) -> Adviser:
    """The bundle before this one, so that what it knows isn't forgotten; how it sees isn't held on to."""
    kept = Student([])
    kept.network = published()
    kept.requires_grad_(False).eval().to(memory_format=torch.channels_last)
    return Adviser(kept, side, FEATURES, seen=False)


FOUR = tuple(f"teacher-{data}-{size}" for data, size in TEACHERS)
EXPERIMENTS = {
    "teacher-both": Experiment(
        "EfficientNet-Lite0 with ImageNet weights, fine-tuned on the labelled slices of both sources",
        Recipe((Stage(160, 300),), 2e-3, 3e-4, 0.02, average=0.98, look_every=60, turns=COVID_FIRST),
        lambda _: fine_tuned(0, mixup=0.3),
    ),
    "teacher-covid": Experiment(
        "EfficientNet-Lite0 with ImageNet weights, fine-tuned on COVID-CT alone",
        Recipe((Stage(160, 500),), 3e-3, 1e-3, 0.02, average=0.98, look_every=50),
        lambda _: fine_tuned(0, mixup=0.2),
        dataset="covid-ct",
    ),
    "scratch": Experiment(
        "DenseNet-169 from random weights, on the labelled slices of both sources",
        Recipe((Stage(112, 1200),), turns=COVID_FIRST),
        from_nothing,
    ),
    "distilled-fast": Experiment(
        "DenseNet-169 going on from 1.0.0, distilled from `teacher-covid` on all slices, labels counting half",
        Recipe((Stage(160, 180), Stage(224, 40)), 5e-4, 5e-4, average=0.99, look_every=20, turns=MIXED),
        lambda runs: Distilling(published(), [teacher(runs)]),
        labelled=False,
        needs=("teacher-covid",),
    ),
    "distilled": Experiment(
        "DenseNet-169 going on from 1.0.0, slowly: distilled from `teacher-covid` and 1.0.0 itself, labels "
        "counting 0.7",
        Recipe((Stage(192, 200),), 5e-4, 1e-4, average=0.98, look_every=20, turns=MIXED, from_known=True),
        lambda runs: Distilling(published(), [teacher(runs), itself(192)], features=0.2, label_share=0.7),
        labelled=False,
        needs=("teacher-covid",),
    ),
    **{
        f"teacher-{data}-{size}": Experiment(
            f"EfficientNet-Lite{size} with ImageNet weights, fine-tuned on {says}",
            Recipe((Stage(224, steps, 64),), 2e-3, 5e-4, 0.02, average=0.99, look_every=50, turns=turns),
            partial(teaching, size),
            dataset="chest-ct-known",
        )
        for (data, size), (steps, says, turns) in TEACHERS.items()
    },
    "labels": Experiment(
        "DenseNet-169 going on from 1.0.0, on all slices whose label is known",
        long(2100),
        lambda _: known(published()),
        dataset="chest-ct-known",
    ),
    "advised": Experiment(
        "DenseNet-169 going on from 1.0.0, advised by four teachers, labels counting half",
        long(1500),
        lambda runs: Distilling(published(), four(runs)),
        dataset="chest-ct-known",
        needs=FOUR,
    ),
    "advised-anew": Experiment(
        "DenseNet-169 from random weights, advised by four teachers, labels counting half",
        long(1650),
        lambda runs: Distilling(CamDenseNet(), four(runs)),
        dataset="chest-ct-known",
        needs=FOUR,
    ),
    "contrastive": Experiment(
        "DenseNet-169 from random weights, without labels: contrastive (SimCLR) on all slices of train; AUC of a "
        "logistic regression on its features, fitted on COVID-CT's train",
        Recipe(
            (Stage(96, 1500),),
            warm_up=0.05,
            look_every=40,
            save_every=5,
            turns=ALL_ALIKE,
            from_known=True,
            blind=True,
            looked_at=("averaged",),
        ),
        lambda _: Contrasting(CamDenseNet()),
        labelled=False,
        judge=probe("covid-ct"),
    ),
    "contrastive-tuned": Experiment(
        "DenseNet-169 from `contrastive`, fine-tuned on COVID-CT alone",
        Recipe((Stage(112, 400), Stage(160, 80), Stage(192, 40)), 1e-3, 5e-4, look_every=40),
        tuned,
        dataset="covid-ct",
        needs=("contrastive",),
    ),
}


def train(name: str, threads: int, runs: Path = RUNS, quick: bool = False) -> Path:
    """Run an experiment, or go on with it; those it needs come first. Returns its folder."""
    if name not in EXPERIMENTS:
        raise SystemExit(f"there is no experiment {name}; there are {', '.join(EXPERIMENTS)}")
    experiment, out = EXPERIMENTS[name], runs / name
    for needed in experiment.needs:
        train(needed, threads, runs, quick)
    recipe = experiment.recipe
    if quick:
        recipe = replace(recipe, stages=tuple(replace(stage, steps=2) for stage in recipe.stages))
    device.choose(threads)
    torch.manual_seed(recipe.seed)
    print(f"{name}: {experiment.says}", flush=True)
    Run(
        experiment.make(runs), open_dataset(experiment.dataset), recipe, out, experiment.labelled, experiment.judge
    ).go()
    return out
