"""The page on what was tried: a machine without the runs of another doesn't unsay them."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="scripts/train installs PyTorch")

from codetect_training.experiments import EXPERIMENTS
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
