"""Distilling: DenseNet-169 learns, from any slice, labelled or not, to answer and to see as others do.

A patient and consistent teacher (Beyer et al. 2022): both are shown the very same view, turned, windowed and mixed at
random, and the student also learns a teacher's features, which carry what it knows from ImageNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from codetect_training.augment import augment
from codetect_training.network import CamDenseNet
from codetect_training.runs import Recipe
from codetect_training.supervised import mixed

FEATURES = 1664


class Student(nn.Module):
    """The network, and what only training needs: projections of its features to each teacher's, and their scales."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.network = CamDenseNet()
        self.project = nn.ModuleList(nn.Linear(FEATURES, width) for width in widths)
        self.scale = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for width in widths)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (n, 1, s, s) -> logits (n,), pooled features (n, 1664)."""
        maps = self.network.maps(image)
        return self.network.answer(maps)[0][:, 0], maps.mean((2, 3))


@dataclass(frozen=True)
class Adviser:
    """A frozen network that answers (n, 1, side, side) with logits (n,) and features (n, width).

    `seen`: the features count.
    """

    network: nn.Module
    side: int
    width: int
    seen: bool = True


class Distilling:
    """Learn what `advisers` answer and see; where there is a label, it counts `label_share` of the answer.

    `features`: how much what they see counts beside it.
    """

    def __init__(
        self, student: CamDenseNet, advisers: Sequence[Adviser], features: float = 1.0, label_share: float = 0.5
    ) -> None:
        self.advisers, self.features, self.label_share = advisers, features, label_share
        self.student = Student([one.width for one in advisers if one.seen])
        self.student.network = student
        self.student.to(memory_format=torch.channels_last)
        self.module: nn.Module = self.student

    def groups(self, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
        """The projections begin with nothing, the network perhaps not."""
        new = [*self.student.project.parameters()]
        return [(new, recipe.rate), ([*self.student.network.parameters()], recipe.body_rate)]

    def loss(self, images: Tensor, labels: Tensor, side: int) -> Tensor:
        """How unlike the advisers' its answers and features are, and where there is a label, how wrong it is."""
        student, largest = self.student, max(side, *(one.side for one in self.advisers))
        targets = torch.where(labels >= 0, labels.float() * 0.9 + 0.05, torch.nan)
        views, targets = mixed(augment(images, largest), targets, 0.5)  # mixed with one without a label, it has none
        with torch.no_grad():
            told = [one.network(resized(views, one.side)) for one in self.advisers]
        logits, seen = student(resized(views, side))
        answer = torch.stack([torch.sigmoid(one) for one, _ in told]).mean(0)
        share = torch.where(targets.isnan(), 0.0, self.label_share)
        wanted = share * targets.nan_to_num(0.5) + (1 - share) * answer
        loss = functional.binary_cross_entropy_with_logits(logits, wanted)
        shown = [features for one, (_, features) in zip(self.advisers, told, strict=True) if one.seen]
        for project, scale, features in zip(student.project, student.scale, shown, strict=True):
            loss = loss + self.features / len(shown) * functional.mse_loss(project(seen), scale(features))
        return loss


def resized(views: Tensor, side: int) -> Tensor:
    """Views as the student sees them."""
    if views.shape[-1] == side:
        return views
    smaller = functional.interpolate(views, size=side, mode="bilinear", antialias=True, align_corners=False)
    return smaller.contiguous(memory_format=torch.channels_last)
