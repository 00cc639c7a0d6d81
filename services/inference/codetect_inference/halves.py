"""The graph that GPUs run: stored int8 weights unpacked, the network's body in fp16, delicate parts and both ends fp32.

Made once when a model is loaded (docs/adr/0090). CPUs gain nothing by fp16, and there ONNX Runtime unpacks the weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

BODY = {"AveragePool", "BatchNormalization", "Concat", "Conv", "GlobalAveragePool", "MaxPool", "Relu"}
"""What runs in fp16. All else stays fp32: means, squares and roots of the standardising, distances, sums of logits."""
LARGEST = float(np.finfo(np.float16).max)


def unpacked(model: bytes) -> bytes:
    """With plain fp32 weights: TensorRT would take stored int8 for a wish to compute in int8."""
    return bytes(unpack_weights(onnx.load_model_from_string(model)).SerializeToString())


def halved(model: bytes) -> bytes:
    """With plain weights and its body in fp16; inputs and outputs stay float32."""
    whole = unpack_weights(onnx.load_model_from_string(model))
    graph, weights = whole.graph, _weights(whole.graph)
    in_body = [node.op_type in BODY and _fits(node, weights) for node in graph.node]
    half = {name for node, inside in zip(graph.node, in_body, strict=True) if inside for name in node.output}
    nodes: list[onnx.NodeProto] = []
    cast: dict[str, str] = {}

    def as_type(name: str, wanted: int, ending: str) -> str:
        """The name of this value in another type; its Cast is added where it is first needed."""
        if name not in cast:
            cast[name] = name + ending
            nodes.append(helper.make_node("Cast", [name], [cast[name]], to=wanted))
        return cast[name]

    for node, inside in zip(graph.node, in_body, strict=True):
        for place, name in enumerate(node.input):
            if inside and name in weights:
                node.input[place] = f"{name}.half"
            elif name and inside and name not in half:
                node.input[place] = as_type(name, TensorProto.FLOAT16, ".half")
            elif not inside and name in half:
                node.input[place] = as_type(name, TensorProto.FLOAT, ".whole")
        nodes.append(node)
    for output in graph.output:
        if output.name in half:
            for node in nodes:
                node.input[:] = [f"{name}.body" if name == output.name else name for name in node.input]
                node.output[:] = [f"{name}.body" if name == output.name else name for name in node.output]
            nodes.append(helper.make_node("Cast", [f"{output.name}.body"], [output.name], to=TensorProto.FLOAT))
    _replace(graph, nodes, list(_needed(nodes, weights)))
    return bytes(whole.SerializeToString())


def unpack_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace each DequantizeLinear of stored weights by what it gives: int8 x scale of its channel, float32."""
    weights, nodes = _weights(model.graph), []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or not all(name in weights for name in node.input):
            nodes.append(node)
            continue
        stored, scale, *zero = (weights[name] for name in node.input)
        axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
        along = [-1 if place == axis % stored.ndim else 1 for place in range(stored.ndim)] if scale.ndim else []
        values = stored.astype(np.float32)
        if zero:
            values -= zero[0].astype(np.float32).reshape(along)
        weights[node.output[0]] = np.asarray(values * scale.astype(np.float32).reshape(along), np.float32)
    _replace(model.graph, nodes, list(_needed(nodes, weights)))
    return model


def _weights(graph: onnx.GraphProto) -> dict[str, NDArray[np.generic]]:
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}


def _fits(node: onnx.NodeProto, weights: dict[str, NDArray[np.generic]]) -> bool:
    """Whether all weights of a node are numbers that fp16 can hold."""
    own = [weights[name] for name in node.input if name in weights]
    return all(one.dtype == np.float32 and np.abs(one).max(initial=0) < LARGEST for one in own)


def _needed(nodes: list[onnx.NodeProto], weights: dict[str, NDArray[np.generic]]) -> Iterator[onnx.TensorProto]:
    """The weights that these nodes ask for, in fp32 or under `.half`."""
    for name in dict.fromkeys(name for node in nodes for name in node.input):
        if name in weights:
            yield numpy_helper.from_array(weights[name], name)
        elif name.removesuffix(".half") in weights:
            yield numpy_helper.from_array(weights[name.removesuffix(".half")].astype(np.float16), name)


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> None:
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)
