"""Learning to see without labels: two views of a slice are alike, views of other slices are not.

Each view has to find its other view among those of its batch (Chen et al. 2020, SimCLR).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from codetect_training.augment import augment
from codetect_training.datasets.dataset import Part
from codetect_training.distil import Student
from codetect_training.network import CamDenseNet
from codetect_training.regression import logits
from codetect_training.runs import Judge, Recipe, outputs

WIDTH = 128  # of what is compared
TEMPERATURE = 0.2
PENALTY = 100.0  # of the probe's weights: more features than slices
ZOOM, SHIFT = (0.45, 1.0), 0.25  # views show less of a slice, and more different parts, than those that labels fit


class Encoder(nn.Module):
    """The network without its answer, and the layers that only comparing needs.

    These normalise what they say: without, all slices soon looked the same to it.
    """

    def __init__(self, network: CamDenseNet) -> None:
        super().__init__()
        self.network = network
        self.compare = nn.Sequential(
            nn.Linear(network.net.class_layers.out.in_features, 512, bias=False),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Linear(512, WIDTH, bias=False),
            nn.BatchNorm1d(WIDTH, affine=False),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (n, 1, s, s) -> pooled features (n, 1664), a direction (n, WIDTH)."""
        features = self.network.maps(image).mean((2, 3))
        return features, functional.normalize(self.compare(features), dim=1)


class Contrasting:
    """Learn to tell slices apart, whatever part of them is seen, in whatever window."""

    def __init__(self, network: CamDenseNet) -> None:
        self.encoder = Encoder(network).to(memory_format=torch.channels_last)
        self.module: nn.Module = self.encoder

    def groups(self, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
        """The comparing layers begin with nothing, the network perhaps not."""
        new, old = self.encoder.compare, self.encoder.network
        return [([*new.parameters()], recipe.rate), ([*old.parameters()], recipe.body_rate)]

    def loss(self, images: Tensor, labels: Tensor, side: int) -> Tensor:
        """Cross entropy of finding the other view; labels aren't looked at."""
        views = torch.cat([augment(images, side, ZOOM, SHIFT) for _ in range(2)])
        said = self.encoder(views.contiguous(memory_format=torch.channels_last))[1]
        return unfound(said)


def unfound(said: Tensor) -> Tensor:
    """Directions (2n, k), of n slices' first views and then their second -> how hard the others are to find, a mean."""
    itself = torch.eye(len(said), dtype=torch.bool)
    alike = (said @ said.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    return functional.cross_entropy(alike, torch.arange(len(said)).roll(len(said) // 2))


def pretrained(run: Path) -> Student:
    """What answers, on the averaged weights that a contrastive run has reached; its answer begins with nothing."""
    averaged = torch.load(run / "state.pt", weights_only=True, map_location="cpu")["averaged"]
    start = "network."
    student = Student([])
    student.network.load_state_dict(
        {name.removeprefix(start): value for name, value in averaged.items() if name.startswith(start)}
    )
    return student


def probe(source: str) -> Judge:
    """A judge of features: logistic regression on them, fitted to a source's labels in train; nothing learns of it."""

    def judge(module: nn.Module, train: Part, val: Part, side: int) -> NDArray[np.float64]:
        rows = train.of(source)
        known, asked = outputs(module, train, rows, side), outputs(module, val, np.arange(len(val.rows)), side)
        mean, spread = known.mean(0), known.std(0) + 1e-6
        return logits((known - mean) / spread, train.labels[rows], (asked - mean) / spread, PENALTY)

    return judge
