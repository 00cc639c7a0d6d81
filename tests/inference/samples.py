"""Real input of the pure tests: CT series read with pydicom, volumes as ingest writes them, bundles to bend."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pydicom
import pytest
import zarr
from codetect_training.words import Words
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from zarr.codecs import BloscCodec
from zarr.storage import ZipStore

from tests.signing import signed

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "covid-ct-densenet169" / "1.2.0"
COVID = Words("covid", "noncovid", frozenset({"covid"}), frozenset({"noncovid"}))  # sub-folders of COVID-CT


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A bundle as one zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def data(*parts: str) -> Path:
    """A place in the research data, or a skip with the reason."""
    root = Path(os.environ.get("CODETECT_DATA") or ROOT.parent / "shared" / "data")
    found = root.joinpath(*parts)
    if not found.exists():
        pytest.skip(f"{found} isn't there; CODETECT_DATA says where the research data lies")
    return found


def read_slice(path: Path) -> NDArray[np.int16]:
    """One CT slice in HU."""
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.astype(np.float32) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    return np.clip(pixels, -32768, 32767).astype(np.int16)


def read_series(folder: Path) -> NDArray[np.int16]:
    """A whole axial series in HU, feet to head."""
    datasets = [(float(pydicom.dcmread(path).ImagePositionPatient[2]), path) for path in folder.rglob("*.dcm")]
    return np.stack([read_slice(path) for _, path in sorted(datasets)])


def volume_zip(hu: NDArray[np.int16], name: str = "hu", until_2026: bool = False) -> bytes:
    """volume.zarr.zip, written with Zarr itself, compressed as ingest does it today, or did until November 2026."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.zarr.zip"
        store = ZipStore(path, mode="w")
        group = zarr.create_group(store)
        before, now = (
            BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
            BloscCodec(cname="lz4", shuffle="shuffle"),
        )
        codec = before if until_2026 else now
        array = group.create_array(name, shape=hu.shape, chunks=(1, *hu.shape[1:]), dtype=hu.dtype, compressors=[codec])
        array[:] = hu
        store.close()
        return path.read_bytes()


def recompressed(content: bytes) -> bytes:
    """The same zip, its entries deflated, as another writer might make it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny_model(labels: int = 1, side: int = 32, distance: bool = False, weight: float = 1) -> onnx.ModelProto:
    """A small model with a bundle's inputs and outputs: its map is the mean grey of each 32 x 32 field, times `weight`.

    With `distance` it also says how unlike its training data an image is: its mean grey.
    """
    batch = ["batch"]
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["cam"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("ReduceMean", ["cam", "axes"], ["logits"], keepdims=0),
    ]
    more = []
    if distance:
        nodes.append(helper.make_node("ReduceMean", ["image", "all"], ["distance"], keepdims=0))
        more.append(helper.make_tensor_value_info("distance", TensorProto.FLOAT, batch))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [*batch, 1, side, side])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*batch, labels]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, [*batch, labels, side // 32, side // 32]),
            *more,
        ],
        [
            numpy_helper.from_array(np.full((labels, 1, 32, 32), weight / 1024, np.float32), "weight"),
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "all"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def unrunnable() -> onnx.ModelProto:
    """A model that looks as promised, of an operator that nobody knows."""
    model = tiny_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    return model


def saying(number: float) -> onnx.ModelProto:
    """A model that answers the same to everything: this number."""
    model = tiny_model()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((1, 1, 32, 32), np.float32), "weight"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([number], np.float32), "bias"))
    model.graph.node[0].input.append("bias")
    return model


def bundle_files(model: onnx.ModelProto | None = None, **changes: Any) -> dict[str, bytes]:
    """A sound little bundle, signed by the tests' key, but for `changes` to its manifest."""
    content = (model or tiny_model()).SerializeToString()
    manifest: dict[str, Any] = {
        "schema_version": 1,
        "name": "tiny",
        "version": "0.1.0",
        "title": "For tests",
        "labels": [{"name": "grey", "title": "Grey", "threshold": 0.6, "temperature": 0.5}],
        "preprocessing": {"side": 32, "level_hu": -600, "width_hu": 1500, "margin": 0.2},
        "pooling": {"method": "mean_of_highest", "share": 0.2, "at_least": 3},
        "few_slices": 10,
        "intended_use": "tests",
        "limits": [],
        "training_data": [],
        "metrics": [],
        "files": {"model.onnx": {"sha256": sha256(content), "bytes": len(content)}},
        **changes,
    }
    return signed({"model.onnx": content, "bundle.json": json.dumps(manifest).encode()})


def open_png(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)))
