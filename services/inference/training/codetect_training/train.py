"""Train from scratch: growing images, one-cycle rate, averaged weights; a killed run goes on at its last epoch."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codetect_training.augment import augment
from codetect_training.datasets.dataset import Dataset, Part
from codetect_training.metrics import auc
from codetect_training.network import CamDenseNet


@dataclass(frozen=True)
class Stage:
    """`epochs` passes over the images at `side` pixels."""

    side: int
    epochs: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on, besides the images."""

    stages: tuple[Stage, ...] = (Stage(112, 80, 32), Stage(160, 6, 32), Stage(224, 5, 16))
    rate: float = 1e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    mixup: float = 0.2
    average: float = 0.99
    seed: int = 2020
    precision: str = "bf16"


def epochs(recipe: Recipe) -> Iterator[tuple[int, Stage]]:
    """Every epoch with its number and stage."""
    yield from enumerate(stage for stage in recipe.stages for _ in range(stage.epochs))


def train(dataset: Dataset, out: Path, recipe: Recipe, threads: int) -> None:
    """Train on the train split, choose the epoch by the AUC on val, leave `best.pt` and `history.json` in `out`."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2))
    run = Run(dataset.part("train"), dataset.part("val"), recipe)
    state = out / "state.pt"
    if state.exists():
        run.restore(torch.load(state, weights_only=True))
        print(f"going on after epoch {run.done}", flush=True)
    for number, stage in epochs(recipe):
        if number < run.done:
            continue
        line = run.epoch(number, stage)
        if run.history[-1].get("best"):
            save(getattr(run, run.history[-1]["weights"]).state_dict(), out / "best.pt")
        save(run.state(), state)
        (out / "history.json").write_text(json.dumps(run.history))
        print(line, flush=True)


def save(value: Any, path: Path) -> None:
    """Write beside, then rename, so that a kill leaves the old file or the new one."""
    torch.save(value, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)


class Run:
    """One training run: network, its moving average, optimiser, schedule and what has happened."""

    def __init__(self, train: Part, val: Part, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.images, self.val, self.recipe = train, val, recipe
        self.network = CamDenseNet().to(memory_format=torch.channels_last)
        self.averaged = copy.deepcopy(self.network).requires_grad_(False).eval()
        decay = [p for p in self.network.parameters() if p.ndim > 1]
        plain = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.rate)
        steps = sum(stage.epochs * (len(train.labels) // stage.batch) for stage in recipe.stages)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, recipe.rate, steps, pct_start=0.15)
        self.history: list[dict[str, Any]] = []
        self.cache: tuple[int, Tensor, Tensor] | None = None

    @property
    def done(self) -> int:
        """Epochs finished."""
        return len(self.history)

    def state(self) -> dict[str, Any]:
        """What a later process needs to go on."""
        parts = ("network", "averaged", "optimiser", "schedule")
        return {"history": self.history} | {name: getattr(self, name).state_dict() for name in parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.history = state.pop("history")
        for name, value in state.items():
            getattr(self, name).load_state_dict(value)

    def load(self, side: int) -> tuple[Tensor, Tensor]:
        """Decoded images of a stage: a little larger than needed for training, exact for validation."""
        if self.cache is None or self.cache[0] != side:
            larger = torch.from_numpy(self.images.load(round(side * 1.2)))
            self.cache = side, larger, torch.from_numpy(self.val.load(side))
        return self.cache[1], self.cache[2]

    def epoch(self, number: int, stage: Stage) -> str:
        """One pass; its random numbers hang on seed and epoch alone, so a run that went on equals one that didn't."""
        recipe, began = self.recipe, time.monotonic()
        torch.manual_seed(recipe.seed * 10_000 + number)
        images, val_images = self.load(stage.side)
        labels = torch.from_numpy(self.images.labels).float()
        order = torch.randperm(len(labels))
        self.network.train()
        losses = []
        for step in range(len(labels) // stage.batch):
            rows = order[step * stage.batch : (step + 1) * stage.batch]
            batch = augment(images[rows], stage.side).contiguous(memory_format=torch.channels_last)
            target = labels[rows] * (1 - recipe.smoothing) + recipe.smoothing / 2
            share = float(np.random.default_rng([number, step]).beta(recipe.mixup, recipe.mixup))
            batch, target = share * batch + (1 - share) * batch.flip(0), share * target + (1 - share) * target.flip(0)
            losses.append(self.step(batch, target))
        last = stage is self.recipe.stages[-1]
        entry: dict[str, Any] = {"epoch": number, "side": stage.side, "loss": float(np.mean(losses))}
        if last or number % 5 == 4:
            found = {kind: auc(self.val.labels, self.predict(kind, val_images)) for kind in ("averaged", "network")}
            entry["weights"] = max(found, key=lambda kind: found[kind])
            entry["val_auc"] = found[entry["weights"]]
            known = [past["val_auc"] for past in self.history if past["side"] == stage.side and "val_auc" in past]
            entry["best"] = last and entry["val_auc"] > max(known, default=0)
        entry["seconds"] = round(time.monotonic() - began, 1)
        self.history.append(entry)
        return json.dumps(entry)

    def step(self, batch: Tensor, target: Tensor) -> float:
        """One optimiser step and one step of the moving average."""
        with self.autocast():
            logits, _ = self.network(batch)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float()[:, 0], target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        pairs = zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True)
        for kept, new in pairs:
            kept.lerp_(new, 1 - self.recipe.average) if kept.is_floating_point() else kept.copy_(new)
        return loss.item()

    def autocast(self) -> torch.autocast:
        """bfloat16 halves the time on CPUs with AMX or AVX512-BF16."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.precision == "bf16")

    def predict(self, kind: str, images: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Logits of the `network` as it is, or `averaged`, which lags behind when the images grow."""
        network = getattr(self, kind).eval()
        with torch.no_grad(), self.autocast():
            parts = [network(part)[0][:, 0].double() for part in images.split(16)]
        return torch.cat(parts).numpy()
