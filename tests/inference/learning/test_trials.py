"""The page on what was tried: a machine without the runs of another doesn't unsay them."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="scripts/train installs PyTorch")

from codetect_training.experiments import EXPERIMENTS, fine_tuned
from codetect_training.runs import Recipe, Stage
from codetect_training.trials import as_table


def test_what_was_tried_elsewhere_stays_told(tmp_path: Path) -> None:
    fresh = as_table(tmp_path)
    assert fresh.count("| not run |") == len(EXPERIMENTS)
    ran = "| scratch | somewhere else | 100 | 0.2 | 0.8 | - | 0.8 |"
    told = "\n".join(ran if line.startswith("| scratch |") else line for line in fresh.splitlines())
    told = told.replace("Not measured: `scripts/train flips` does it.", "Measured elsewhere.")
    again = as_table(tmp_path, told)
    assert ran in again.splitlines()
    assert again.rstrip().endswith("Measured elsewhere.")
    assert again.count("| not run |") == len(EXPERIMENTS) - 1


def test_an_optimiser_finds_the_parameters_in_the_same_order_in_every_process() -> None:
    task = fine_tuned(0, mixup=0.3)
    (new, _), (old, _) = task.groups(Recipe((Stage(32, 1),)))
    assert all(one is other for one, other in zip(old, task.body.parameters(), strict=True))
    assert {id(one) for one in new} == {id(one) for one in task.module.head.parameters()}
