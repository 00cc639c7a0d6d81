"""The table of what was tried (docs/models/trials.md), from what the runs left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from codetect_training.experiments import EXPERIMENTS, Experiment
from codetect_training.flips import as_text

FLIPS = "## Test-time flips"
# Of a run whose folder is gone: DenseNet-169 1.0.0, as its card told it.
FIRST = (
    "| 1.0.0 | DenseNet-169 from random weights on COVID-CT alone, 112 to 224 px | 36,400 | 0.9 | 0.854 | - | 0.854 |"
)


def as_table(runs: Path, before: str = "") -> str:
    """The page as Markdown; of an experiment whose run isn't here, what the page said before is kept."""
    told = {row.split(" | ")[0].removeprefix("| "): row for row in before.splitlines() if row.startswith("| ")}
    lines = [line(name, one, runs / name, told.get(name)) for name, one in EXPERIMENTS.items()]
    flips = before.partition(FLIPS)[2].strip() if not (runs / "flips.json").exists() else ""
    return f"""# What was tried

Each line is one run on the development machine's CPU, on one of two shared cores for the most part, or, where it says
so, on a GPU that two or three other runs shared. AUC on val of COVID-CT (118 images; an interval of about 0.07 to both
sides, so lines that differ by less than 0.03 may well be alike) and of SARS-CoV-2 (where an image's form alone reaches
0.86, so that it judges nothing). `best` is the look at val that was highest, which flatters; `last` is the last look
(`at step 0`: before anything was learnt). Written by `scripts/train card`; `scripts/train train --experiment NAME`
makes a line again, or goes on with it.

| experiment | what | images seen | hours | best, COVID-CT | best, SARS-CoV-2 | last, COVID-CT |
| --- | --- | --- | --- | --- | --- | --- |
{FIRST}
{chr(10).join(lines)}

{FLIPS}

{flips or as_text(runs)}
"""


def line(name: str, experiment: Experiment, run: Path, before: str | None = None) -> str:
    """One experiment's line."""
    if not (run / "history.json").exists():
        return before or f"| {name} | {experiment.says} | not run | | | | |"
    history: list[dict[str, Any]] = json.loads((run / "history.json").read_text())
    state: dict[str, Any] = torch.load(run / "state.pt", weights_only=True, map_location="cpu", mmap=True)
    last, step = history[-1], state["step"]
    recipe = experiment.recipe
    at_end = [one for one in history if one["side"] == last["side"]]
    best = max(at_end, key=lambda one: float(one["val"]["covid-ct"]))
    other = best["val"].get("sars-cov-2-ct")
    hours = (sum(one.get("seconds", 0) for one in history) + state.get("seconds", 0)) / 3600
    seen, digits = recipe.seen(step), 1 if hours > 0.1 else 2
    on = "" if last.get("on", "CPU") == "CPU" else f" ({last['on']})"
    stopped = "" if step == recipe.steps else f" (stopped at step {step} of {recipe.steps})"
    looked = "" if step == last["step"] else f" at step {last['step']}"
    return (
        f"| {name} | {experiment.says}{stopped} | {seen:,} | {hours:.{digits}f}{on} | {best['val']['covid-ct']:.3f} | "
        f"{'-' if other is None else format(other, '.3f')} | {last['val']['covid-ct']:.3f}{looked} |"
    )
