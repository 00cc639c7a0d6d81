"""What GPUs run says what the shipped model says, though no GPU is needed to know."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from codetect_inference.bundle import open_folder
from codetect_inference.engine import session_options
from codetect_inference.halves import halved, unpacked
from codetect_inference.preprocess import plan_series, prepare_batch
from onnx import TensorProto

from tests.inference.conftest import lung, read
from tests.inference.samples import BUNDLE, tiny_model

LOGIT, CAM = 0.02, 0.05  # most that fp16 may change: logits, and maps whose values span some 20


@pytest.fixture(scope="module")
def model() -> bytes:
    return (BUNDLE / "model.onnx").read_bytes()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    hu, how = read(lung(6)), open_folder(BUNDLE).manifest.preprocessing
    chest = prepare_batch(hu, plan_series(len(hu), hu.__getitem__, how.margin).box, how)
    return np.concatenate([chest, np.random.default_rng(3).random((2, *chest.shape[1:]), np.float32)])


def answers(model: bytes, images: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model, session_options("cpu"), ["CPUExecutionProvider"])
    assert {one.type for one in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)"}
    return session.run(["logits", "cam"], {"image": images})


def test_fp16_agrees_within_the_tolerance(model: bytes, images: np.ndarray) -> None:
    half = halved(model)
    for mine, theirs, most in zip(answers(half, images), answers(model, images), (LOGIT, CAM), strict=True):
        assert 0 < np.abs(mine - theirs).max() < most
    weights = onnx.load_model_from_string(half).graph.initializer
    assert sum(one.data_type == TensorProto.FLOAT16 for one in weights) > 169
    assert len(half) < 2.2 * len(model)  # two bytes a weight in the place of one


def test_unpacked_weights_are_the_same_weights(model: bytes, images: np.ndarray) -> None:
    plain = unpacked(model)
    assert "DequantizeLinear" not in {node.op_type for node in onnx.load_model_from_string(plain).graph.node}
    for mine, theirs in zip(answers(plain, images), answers(model, images), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_a_weight_too_large_for_fp16_stays_whole() -> None:
    model = tiny_model(distance=True)
    weight = next(one for one in model.graph.initializer if one.name == "weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(np.full((1, 1, 32, 32), 1e5, np.float32), "weight"))
    images = np.full((1, 1, 32, 32), 0.5, np.float32)
    (logits, _) = answers(halved(model.SerializeToString()), images)
    np.testing.assert_allclose(logits, 0.5 * 1024 * 1e5, rtol=1e-5)
