"""That a bundle says what the network said: ONNX and the stored weights against PyTorch, on images of val."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime as ort
from codetect_inference.engine import Outputs
from numpy.typing import NDArray

from codetect_training.asking import BATCH

FP32_TOLERANCE = 1e-3
INT8_AUC_COST = 0.002


def differences(torch_said: Outputs, onnx_said: Outputs, stored: Outputs) -> dict[str, float]:
    """The greatest differences from PyTorch: of fp32 ONNX, and of the service's engine with stored weights."""
    found = {
        "fp32_logits_max_difference": float(np.abs(onnx_said.logits - torch_said.logits).max()),
        "fp32_cams_max_difference_share": float(
            np.abs(onnx_said.cams - torch_said.cams).max() / np.abs(torch_said.cams).max()
        ),
        "int8_logits_max_difference": float(np.abs(stored.logits - torch_said.logits).max()),
    }
    if onnx_said.distances is not None and torch_said.distances is not None:
        found["fp32_distances_max_difference"] = float(np.abs(onnx_said.distances - torch_said.distances).max())
    return found


def stop_unless_alike(proof: dict[str, float], int8_auc_cost: float) -> None:
    """Show a proof. Raises SystemExit where ONNX differs from PyTorch, or storing the weights costs, too much."""
    print(json.dumps(proof, indent=2), flush=True)
    if max(value for name, value in proof.items() if name.startswith("fp32")) > FP32_TOLERANCE:
        raise SystemExit("the exported model doesn't agree with PyTorch")
    if int8_auc_cost >= INT8_AUC_COST:
        raise SystemExit("storing the weights as int8 costs too much")


def onnx_outputs(model: onnx.ModelProto, images: NDArray[np.float32]) -> Outputs:
    """What an export says before its weights are stored."""
    session = ort.InferenceSession(model.SerializeToString())
    names = [one.name for one in model.graph.output]
    return Outputs.together(
        Outputs(*session.run(names, {"image": images[at : at + BATCH]})) for at in range(0, len(images), BATCH)
    )
