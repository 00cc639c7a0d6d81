"""Distilling: DenseNet-169 learns, from any slice, labelled or not, to answer and to see as fine-tuned teachers do.

A patient and consistent teacher (Beyer et al. 2022): both are shown the very same view, turned, windowed and mixed at
random, and the student also learns the teachers' features, which carry what they know from ImageNet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from codetect_training.augment import augment
from codetect_training.network import CamDenseNet
from codetect_training.runs import Recipe
from codetect_training.supervised import mixed
from codetect_training.teacher import Teacher

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


class Distilling:
    """Learn from `teachers`, who see `teacher_side` pixels; labels count only `label_share` of the answer's loss."""

    def __init__(
        self, teachers: Sequence[Teacher], teacher_side: int, features: float = 1.0, label_share: float = 0.2
    ) -> None:
        self.teachers, self.teacher_side = teachers, teacher_side
        self.features, self.label_share = features, label_share
        self.student = Student([one.width for one in teachers]).to(memory_format=torch.channels_last)
        self.module: nn.Module = self.student

    def groups(self, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
        """All of it from nothing."""
        return [(list(self.module.parameters()), recipe.rate)]

    def loss(self, images: Tensor, labels: Tensor, side: int) -> Tensor:
        """How unlike the teachers' its answers and features are, and where there is a label, how wrong it is."""
        student = self.student
        views = augment(images, self.teacher_side)
        known = labels >= 0
        targets = torch.where(known, labels.float() * 0.9 + 0.05, torch.nan)
        views, targets = mixed(views, targets, 0.5)  # mixed with one that has no label, it has none
        with torch.no_grad():
            told = [teacher(views) for teacher in self.teachers]
        logits, seen = student(resized(views, side))
        answer = torch.stack([torch.sigmoid(one) for one, _ in told]).mean(0)
        share = torch.where(targets.isnan(), 0.0, self.label_share)
        wanted = share * targets.nan_to_num(0.5) + (1 - share) * answer
        loss = functional.binary_cross_entropy_with_logits(logits, wanted)
        for project, scale, (_, features) in zip(student.project, student.scale, told, strict=True):
            loss = loss + self.features / len(told) * functional.mse_loss(project(seen), scale(features))
        return loss


def resized(views: Tensor, side: int) -> Tensor:
    """Views as the student sees them."""
    if views.shape[-1] == side:
        return views
    smaller = functional.interpolate(views, size=side, mode="bilinear", antialias=True, align_corners=False)
    return smaller.contiguous(memory_format=torch.channels_last)
