"""Going on from a published bundle: its weights taken back out of ONNX, into a network that can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from codetect_inference.bundle import open_folder
from codetect_inference.halves import unpack_weights
from onnx import numpy_helper
from torch import Tensor, nn

from codetect_training.network import CamDenseNet

FOLDED = ".weight_bias"  # of a convolution that the export folded the normalisation behind it into


def take_back(bundle: Path, images: Tensor) -> CamDenseNet:
    """The network of a bundle that `export_onnx` made, as `eval` would answer. `images` (n, 1, s, s) are typical ones.

    A normalisation that was folded into its convolution is made anew from what comes through it of `images`: it
    answers the same, and in training goes on from there.
    """
    stored = onnx.load_model_from_string(open_folder(bundle).model)
    found = weights(stored)
    network = CamDenseNet().eval()
    wanted = network.state_dict()
    named = dict(network.named_modules())
    behind = {name: followed_by(name) for name in (one.removesuffix(FOLDED) for one in found if one.endswith(FOLDED))}
    folded = {
        f"{norm}.{part}" for norm in behind.values() for part in ("weight", "bias", "running_mean", "running_var")
    }
    lacking = [name for name in wanted if name not in found and name not in folded and "num_batches" not in name]
    if lacking:
        raise SystemExit(f"{bundle} has no weights named {', '.join(lacking[:3])}: it isn't of this network")
    network.load_state_dict({name: torch.from_numpy(found[name]) for name in wanted if name in found}, strict=False)
    hooks = [
        named[norm].register_forward_pre_hook(unfold(torch.from_numpy(found[name + FOLDED]).to(images.device)))
        for name, norm in behind.items()
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return network


def weights(model: onnx.ModelProto) -> dict[str, Any]:
    """The network's weights by name, stored ones as float32."""
    plain = unpack_weights(model).graph
    found = {one.name.removeprefix("network."): np.array(numpy_helper.to_array(one)) for one in plain.initializer}
    last = next(node for node in plain.node if "cam" in node.output)  # the linear layer, as a convolution
    found["net.class_layers.out.weight"] = found[last.input[1].removeprefix("network.")][:, :, 0, 0]
    return found


def followed_by(convolution: str) -> str:
    """The normalisation behind a convolution: norm0 behind conv0, norm2 behind a dense layer's conv1."""
    place, _, name = convolution.rpartition(".")
    return f"{place}.{'norm0' if name == 'conv0' else 'norm2'}"


def unfold(bias: Tensor) -> Any:
    """A hook that makes a normalisation add `bias` to what comes, by what comes."""

    def hook(norm: nn.BatchNorm2d, given: tuple[Tensor]) -> None:
        mean, spread = given[0].mean((0, 2, 3)), given[0].var((0, 2, 3))
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(spread)
        norm.weight.copy_((spread + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)

    return hook
