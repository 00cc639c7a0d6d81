"""A training run in steps: one-cycle rate, averaged weights, looks at val; a killed run goes on at its last save."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetect_training import device
from codetect_training.datasets.dataset import Dataset, Part
from codetect_training.metrics import auc

SIDE = 256  # pixels of the cached slices, of which a view is cropped


@dataclass(frozen=True)
class Stage:
    """So many `steps` of `batch` images that the network sees at `side` pixels."""

    side: int
    steps: int
    batch: int = 32


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on, besides the images and what it learns from. `body_rate`: of pretrained layers."""

    stages: tuple[Stage, ...]
    rate: float = 1e-3
    body_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.15
    average: float = 0.99
    seed: int = 2020
    look_every: int = 50  # steps
    save_every: int = 50  # steps, and at every look: what a kill costs at most
    turns: tuple[tuple[str, int], ...] = ()
    from_known: bool = False  # weights that may already be good: looked at before the first step
    judge: str = "covid-ct"  # the source whose val chooses the weights
    blind: bool = False  # labels don't even balance what is drawn
    looked_at: tuple[str, ...] = ("averaged", "network")  # kinds of weights

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def seen(self, step: int) -> int:
        """Images seen before a step."""
        return sum(self.stage(one).batch for one in range(step))

    def stage(self, step: int) -> Stage:
        """The stage of a step."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        raise IndexError(step)


class Task(Protocol):
    """What is learnt: a module that answers images (n, 1, s, s) with logits (n,) and more, and the loss of a batch."""

    module: nn.Module

    def groups(self, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
        """The module's parameters with their rates."""
        ...

    def loss(self, images: Tensor, labels: Tensor, side: int) -> Tensor:
        """Raw slices (n, 1, SIDE, SIDE) in 0..1 and labels (n,), -1 without one -> a scalar."""
        ...


# A module, train, val and a side of the images -> what val's slices score, (n,).
Judge = Callable[[nn.Module, Part, Part, int], NDArray[np.float64]]


def answers(module: nn.Module, train: Part, val: Part, side: int) -> NDArray[np.float64]:
    """The usual judge: the module's own logits."""
    return outputs(module, val, np.arange(len(val.rows)), side)


class Run:
    """One run of a task, kept in the folder `out`: state.pt to go on, best.pt, history.json and recipe.json."""

    def __init__(
        self, task: Task, dataset: Dataset, recipe: Recipe, out: Path, labelled: bool, judge: Judge = answers
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.judge = judge
        self.task, self.recipe, self.out = task, recipe, out
        self.train, self.val = dataset.part("train"), dataset.part("val")
        self.judged = [one for one in dataset.description.sources if len(self.val.of(one))]
        drawn = self.train.unlabelled() if recipe.blind else self.train
        self.sampler = drawn.sampler(1, recipe.seed, labelled, dict(recipe.turns))
        self.averaged = copy.deepcopy(task.module).requires_grad_(False).eval()
        self.drawing = ThreadPoolExecutor(1)
        self.drawn: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None
        self.optimiser = torch.optim.AdamW(list(parameters(task, recipe)), lr=recipe.rate)
        rates = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, rates, recipe.steps, pct_start=recipe.warm_up
        )
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.losses: list[float] = []  # since the last look, as are these seconds
        self.seconds = 0.0

    def go(self) -> None:
        """Train to the end."""
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "recipe.json").write_text(json.dumps(asdict(self.recipe), indent=2))
        state = self.out / "state.pt"
        if state.exists():
            self.restore(torch.load(state, weights_only=True, map_location="cpu"))
            print(f"going on after step {self.step} of {self.recipe.steps}", flush=True)
        elif self.recipe.from_known:
            self.note(self.look())  # nothing learnt may be the best there is
        while self.step < self.recipe.steps:
            began = time.monotonic()
            self.losses.append(self.one())
            self.seconds += time.monotonic() - began
            if self.step % self.recipe.look_every == 0 or self.step == self.recipe.steps:
                began = time.monotonic()
                found = self.look() | {"loss": float(np.mean(self.losses))}
                seconds = round(self.seconds + time.monotonic() - began, 1)
                self.losses, self.seconds = [], 0.0
                self.note(found | {"seconds": seconds, "on": device.name()})
            elif self.step % self.recipe.save_every == 0:
                save(self.state(), state)

    def note(self, entry: dict[str, Any]) -> None:
        """Keep what a look found, the weights if they are the best so far, and what is needed to go on."""
        self.history.append(entry)
        if entry["best"]:
            save(self.weights(entry["weights"]).state_dict(), self.out / "best.pt")
        save(self.state(), self.out / "state.pt")
        (self.out / "history.json").write_text(json.dumps(self.history))
        print(json.dumps(entry), flush=True)

    def one(self) -> float:
        """One step; its random numbers hang on seed and step alone, so a run that went on equals one that didn't."""
        recipe, stage = self.recipe, self.recipe.stage(self.step)
        images, labels = self.batch()
        torch.manual_seed(recipe.seed * 1_000_003 + self.step)
        self.task.module.train()
        with device.half():
            loss = self.task.loss(images, labels, stage.side)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.task.module.parameters(), 1.0)
        self.optimiser.step()
        self.schedule.step()
        self.step += 1
        kept = min(recipe.average, self.step / (self.step + 10))  # early on, the average forgets its beginning
        follow(self.averaged, self.task.module, kept)
        return loss.item()

    def batch(self) -> tuple[Tensor, Tensor]:
        """This step's images and labels; the next step's are drawn meanwhile, which a GPU would wait for."""
        step, drawn = self.drawn or (-1, None)
        images, labels = drawn.result() if drawn and step == self.step else self.draw(self.step)
        if self.step + 1 < self.recipe.steps and device.on_gpu():
            self.drawn = self.step + 1, self.drawing.submit(self.draw, self.step + 1)
        here = torch.get_default_device()
        return images.to(here), labels.to(here)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """A step's images and labels, by seed and step alone."""
        recipe, stage = self.recipe, self.recipe.stage(step)
        random, seen = np.random.default_rng([recipe.seed, step]), recipe.seen(step)
        rows = random.permutation(np.array([self.sampler.slot(0, seen + at) for at in range(stage.batch)]))
        images = self.train.images(rows, SIDE, float(random.uniform(-750, -350)), float(random.uniform(1000, 1900)))
        return torch.from_numpy(images), torch.from_numpy(self.train.labels[rows])

    def weights(self, kind: str) -> nn.Module:
        """The module as it is (`network`), or its moving average (`averaged`)."""
        return self.averaged if kind == "averaged" else self.task.module

    def look(self) -> dict[str, Any]:
        """AUC on val of each source; the recipe's judge among them chooses the weights, within the last stage."""
        side = self.recipe.stage(max(0, self.step - 1)).side
        found = {kind: self.aucs(kind, side) for kind in self.recipe.looked_at}
        kind = max(found, key=lambda one: found[one][self.recipe.judge])
        entry: dict[str, Any] = {"step": self.step, "side": side, "weights": kind, "val": found[kind]}
        entry["val_auc"] = found[kind][self.recipe.judge]
        past = [one["val_auc"] for one in self.history if one["side"] == side]
        entry["best"] = side == self.recipe.stages[-1].side and entry["val_auc"] > max(past, default=0)
        return entry

    def aucs(self, kind: str, side: int) -> dict[str, float]:
        """AUC on val by source."""
        logits = self.judge(self.weights(kind), self.train, self.val, side)
        return {one: auc(self.val.labels[rows := self.val.of(one)], logits[rows]) for one in self.judged}

    def state(self) -> dict[str, Any]:
        """What a later process needs to go on."""
        parts = {"module": self.task.module, "averaged": self.averaged}
        kept = {name: part.state_dict() for name, part in parts.items()}
        return kept | {
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "history": self.history,
            "losses": self.losses,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.step, self.history = state["step"], state["history"]
        self.losses, self.seconds = state.get("losses", []), state.get("seconds", 0.0)  # older runs have none
        self.task.module.load_state_dict(state["module"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])


def parameters(task: Task, recipe: Recipe) -> Iterator[dict[str, Any]]:
    """The optimiser's groups: weights decay, biases and normalisation don't."""
    for found, rate in task.groups(recipe):
        decay = [p for p in found if p.ndim > 1]
        plain = [p for p in found if p.ndim <= 1]
        yield {"params": decay, "lr": rate, "weight_decay": recipe.weight_decay}
        yield {"params": plain, "lr": rate, "weight_decay": 0.0}


def outputs(module: nn.Module, part: Part, which: NDArray[np.int64], side: int) -> NDArray[np.float64]:
    """What a module answers first to some of a part's slices, unaugmented, (n, ...)."""
    was = module.training
    module.eval()
    here = torch.get_default_device()
    with torch.no_grad():
        parts = [
            module(torch.from_numpy(part.images(rows, side)).to(here))[0].double()
            for rows in np.array_split(which, max(1, len(which) // device.chunk()))
        ]
    module.train(was)
    return torch.cat(parts).cpu().numpy()


def follow(averaged: nn.Module, module: nn.Module, kept: float) -> None:
    """One step of a moving average that keeps so much of what it was."""
    pairs = [*zip(averaged.state_dict().values(), module.state_dict().values(), strict=True)]
    numbers = [(old, new) for old, new in pairs if old.is_floating_point()]
    torch._foreach_lerp_([old for old, _ in numbers], [new for _, new in numbers], 1 - kept)
    for old, new in pairs:
        if not old.is_floating_point():
            old.copy_(new)


def save(value: Any, path: Path) -> None:
    """Write beside, then rename, so that a kill leaves the old file or the new one."""
    torch.save(value, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").rename(path)
