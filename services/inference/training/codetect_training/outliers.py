"""How unlike its training data a slice is: the length of its pooled features along and beside the directions they fill.

Along: Mahalanobis distance in the space of the main components. Beside: what these components don't explain, compared
with what they leave of training slices (Camacho's T2 and Q statistics; Lee et al. 2018 for deep features).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetect_training.network import CamDenseNet

Floats = NDArray[np.float32]
COMPONENTS = 32


class Telling(nn.Module):
    """A network that answers logits (n, labels), cam, and distance (n,): about 1 for slices as in training."""

    centre: Tensor
    basis: Tensor
    spread: Tensor
    beside: Tensor

    def __init__(self, network: CamDenseNet, features: Floats) -> None:
        """`features` (n, 1664) are those of the training slices."""
        super().__init__()
        self.network = network
        centre = features.mean(0)
        _, values, rows = np.linalg.svd(features - centre, full_matrices=False)
        basis = rows[:COMPONENTS].T
        left = (features - centre) - (features - centre) @ basis @ basis.T
        spread = values[:COMPONENTS] / np.sqrt(len(features) - 1)
        parts = {"centre": centre, "basis": basis, "spread": spread, "beside": (left**2).sum(1).mean(keepdims=True)}
        for name, value in parts.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value, np.float32)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image (n, 1, s, s) in 0..1 -> logits, cam, distance."""
        maps = self.network.maps(image)
        logits, cam = self.network.answer(maps)
        off = maps.mean((2, 3)) - self.centre
        along = off @ self.basis
        beside = ((off - along @ self.basis.T) ** 2).sum(1) / self.beside
        inside = ((along / self.spread) ** 2).mean(1)
        return logits, cam, ((inside + beside) / 2).sqrt()


def pooled(network: CamDenseNet, images: Floats) -> Floats:
    """The features (n, 1664) before the last layer of images (n, 1, s, s)."""
    with torch.no_grad():
        parts = [network.maps(part).mean((2, 3)) for part in torch.from_numpy(images).split(16)]
    return torch.cat(parts).numpy()
