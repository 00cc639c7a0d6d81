"""Learning from labels alone: from nothing, or going on from pretrained weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from codetect_training.augment import augment
from codetect_training.runs import Recipe


class Supervised:
    """Mixup and smoothed labels; `module` gives logits (n,) and features. `body` is pretrained, and learns slower."""

    def __init__(self, module: nn.Module, body: nn.Module | None, smoothing: float = 0.1, mixup: float = 0.3) -> None:
        self.module = module.to(memory_format=torch.channels_last)
        self.body, self.smoothing, self.mixup = body, smoothing, mixup

    def groups(self, recipe: Recipe) -> list[tuple[list[nn.Parameter], float]]:
        """What is new learns faster than what goes on."""
        old = list(self.body.parameters()) if self.body else []
        known = set(old)  # a set has another order in each process, and the optimiser's state goes by the order
        new = [one for one in self.module.parameters() if one not in known]
        return [(new, recipe.rate), (old, recipe.body_rate)] if old else [(new, recipe.rate)]

    def loss(self, images: Tensor, labels: Tensor, side: int) -> Tensor:
        """Cross entropy of mixed views."""
        target = labels.float() * (1 - self.smoothing) + self.smoothing / 2
        views, target = mixed(augment(images, side), target, self.mixup)
        return functional.binary_cross_entropy_with_logits(self.module(views)[0], target)


def mixed(views: Tensor, target: Tensor, strength: float) -> tuple[Tensor, Tensor]:
    """Each view mixed with its mirror place in the batch, in one share for the batch (Zhang et al. 2018)."""
    share = float(torch.distributions.Beta(strength, strength).sample())
    views = (share * views + (1 - share) * views.flip(0)).contiguous(memory_format=torch.channels_last)
    return views, share * target + (1 - share) * target.flip(0)
