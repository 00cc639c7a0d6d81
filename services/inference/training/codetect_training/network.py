"""DenseNet-169 that answers with logits and class activation maps from one pass."""

from __future__ import annotations

import torch
from monai.networks.nets import DenseNet169
from torch import Tensor, nn


class CamDenseNet(nn.Module):
    """MONAI's DenseNet-169 on one grey channel; each image is standardised first, so its window matters less.

    The head of a DenseNet is a global mean and one linear layer, so that layer applied before the mean gives the map
    (Zhou et al. 2016): mean(cam) + bias == logits.
    """

    def __init__(self, labels: int = 1) -> None:
        super().__init__()
        self.net = DenseNet169(spatial_dims=2, in_channels=1, out_channels=labels)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (N, 1, S, S) in 0..1 -> logits (N, labels), cam (N, labels, S/32, S/32)."""
        return self.answer(self.maps(image))

    def maps(self, image: Tensor) -> Tensor:
        """The last feature maps (N, 1664, S/32, S/32)."""
        return torch.relu(self.net.features(standardised(image)))

    def answer(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the last feature maps say: logits and cam."""
        out = self.net.class_layers.out
        cam = nn.functional.conv2d(features, out.weight[:, :, None, None])
        return cam.mean((2, 3)) + out.bias, cam


def standardised(image: Tensor) -> Tensor:
    """Each image (N, 1, S, S) with mean 0 and spread 1."""
    mean = image.mean((2, 3), keepdim=True)
    spread = ((image - mean) ** 2).mean((2, 3), keepdim=True).sqrt()
    return (image - mean) / (spread + 1e-3)
