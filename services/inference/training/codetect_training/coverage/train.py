"""Train the small network; a few minutes on one core, so a killed run begins anew.

The same seed on as many threads gives the same weights.
"""

from __future__ import annotations

import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from codetect_training.augment import turned
from codetect_training.coverage.data import from_images
from codetect_training.coverage.network import SmallCamDenseNet
from codetect_training.datasets.dataset import Dataset
from codetect_training.metrics import auc
from codetect_training.runs import follow


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on, besides the images. Nothing is chosen by val: the last averaged weights are kept."""

    epochs: int = 50
    batch: int = 32
    rate: float = 3e-3
    weight_decay: float = 0.02
    average: float = 0.99
    seed: int = 2026


def train(dataset: Dataset, out: Path, recipe: Recipe, threads: int) -> None:
    """Leave the weights `best.pt`, `history.json` and `recipe.json` in `out`."""
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    slices, val = from_images(dataset, "train"), from_images(dataset, "val")
    images, labels = torch.from_numpy(slices.images), torch.from_numpy(slices.labels).float()
    network = SmallCamDenseNet()
    averaged = copy.deepcopy(network).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.weight_decay)
    steps = len(labels) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.epochs * steps, pct_start=0.2)
    history = []
    for epoch in range(recipe.epochs):
        began, losses = time.monotonic(), 0.0
        network.train()
        for rows in torch.randperm(len(labels))[: steps * recipe.batch].split(recipe.batch):
            logits, _ = network(augment(images[rows]))
            loss = functional.binary_cross_entropy_with_logits(logits, labels[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses += loss.item() / steps
            follow(averaged, network, recipe.average)
        with torch.no_grad():
            found = torch.cat([averaged(part)[0] for part in torch.from_numpy(val.images).split(32)]).double().numpy()
        aucs = [auc(val.labels[:, column], found[:, column]) for column in range(found.shape[1])]
        seconds = round(time.monotonic() - began, 1)
        history.append({"epoch": epoch, "loss": losses, "val_auc": aucs, "seconds": seconds})
        print(json.dumps(history[-1]), flush=True)
    torch.save(averaged.state_dict(), out / "best.pt")
    (out / "history.json").write_text(json.dumps(history))
    counts = {"train": len(labels), "val": len(val.shares)}
    (out / "recipe.json").write_text(json.dumps(asdict(recipe) | counts, indent=2))


def augment(images: Tensor) -> Tensor:
    """Turn, zoom, shift and mirror, soften and add noise: none of it changes what share of the body is lung."""
    count, side = len(images), images.shape[-1]
    angle = torch.empty(count).uniform_(-10, 10) * math.pi / 180
    zoom = torch.empty(count).uniform_(0.9, 1.35)  # a study's crop is the widest slice's, so others look smaller in it
    mirror = torch.randint(0, 2, (count,)) * 2.0 - 1
    shift = torch.empty(2, count).uniform_(-0.06, 0.06)
    images = turned(images, side, angle, mirror * zoom, zoom, shift)  # what comes from outside is air
    soft = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = torch.where(torch.rand(count, 1, 1, 1) < 0.3, soft, images)
    noise = torch.empty(count, 1, 1, 1).uniform_(0, 0.05)
    return (images + torch.randn_like(images) * noise).clamp(0, 1)
