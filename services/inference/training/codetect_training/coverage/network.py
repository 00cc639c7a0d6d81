"""A small DenseNet with the outputs that a bundle needs."""

from __future__ import annotations

from monai.networks.nets import DenseNet
from torch import nn

from codetect_training.coverage.data import LABELS
from codetect_training.network import CamDenseNet


class SmallCamDenseNet(CamDenseNet):
    """CamDenseNet around a DenseNet of 23 layers that starts with 16 channels and grows by 12."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.net = DenseNet(2, 1, len(LABELS), init_features=16, growth_rate=12, block_config=(2, 3, 4, 3))
