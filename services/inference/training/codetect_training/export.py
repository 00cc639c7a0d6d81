"""Export to ONNX: logits and maps from one pass, weights stored as int8 per channel, agreement proved in figures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from codetect_inference.engine import Outputs
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from codetect_training.network import CamDenseNet
from codetect_training.outliers import Telling

Floats = NDArray[np.float32]


def load_network(weights: Path | None) -> CamDenseNet:
    """The network with trained weights; without, as it begins (for trying things out, never for a bundle)."""
    network = CamDenseNet().eval()
    if weights:
        # A student's, with what only its training needed.
        found = torch.load(weights, weights_only=True, map_location="cpu")
        network.load_state_dict({name[8:]: value for name, value in found.items() if name.startswith("network.")})
    return network


def export_onnx(network: CamDenseNet | Telling, side: int) -> onnx.ModelProto:
    """The network as ONNX with a free batch size, weights as fp32."""
    buffer = io.BytesIO()
    program = torch.onnx.export(
        network.to(memory_format=torch.contiguous_format),
        (torch.rand(2, 1, side, side),),
        dynamo=True,
        input_names=["image"],
        output_names=["logits", "cam", *(["distance"] if isinstance(network, Telling) else [])],
        dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1, max=4096)}},
        opset_version=18,
    )
    assert program is not None
    program.save(buffer)
    model = onnx.load_model_from_string(buffer.getvalue())
    for text in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        text.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.metadata_props[:], model.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model


def quantise_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store convolution weights as int8, one scale per output channel; activations stay fp32 (smaller, not faster)."""
    smaller = onnx.ModelProto()
    smaller.CopyFrom(model)
    graph = smaller.graph
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    kept, nodes = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in weights or values.dtype != np.float32:
            kept.append(tensor)
            continue
        name = tensor.name
        scale = np.maximum(np.abs(values).reshape(len(values), -1).max(1), 1e-12) / 127
        stored = np.rint(values / scale[:, None, None, None]).astype(np.int8)
        kept.append(numpy_helper.from_array(stored, f"{name}.int8"))
        kept.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}.scale"))
        nodes.append(
            helper.make_node(
                "DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], f"{name}.dequantize", axis=0
            )
        )
    nodes.extend(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(smaller)
    return smaller


def torch_outputs(network: CamDenseNet | Telling, images: Floats) -> Outputs:
    """What the network says by PyTorch in fp32; distances only if it tells them."""
    with torch.no_grad():
        parts: list[Any] = [network(part) for part in torch.from_numpy(images).split(16)]
    return Outputs(*(torch.cat(of).numpy() for of in zip(*parts, strict=True)))
