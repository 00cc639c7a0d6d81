"""A bundle that isn't exactly what it says is refused, each time in words."""

import json

import numpy as np
import onnx
import pytest
from codetect_inference.bundle import (
    BundleAltered,
    BundleExternalData,
    BundleIncomplete,
    BundleModelUnusable,
    BundleRefused,
    BundleSchemaUnknown,
    BundleUnreadable,
    open_bundle,
    open_folder,
)
from onnx import TensorProto, helper, numpy_helper

from tests.inference.samples import BUNDLE, bundle_files, sha256, tiny_model


def external() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "elsewhere")
    onnx.external_data_helper.set_external_data(tensor, location="../../etc/passwd")
    return tensor


def test_a_sound_bundle_opens_and_is_named_by_the_hash_of_its_manifest() -> None:
    files = bundle_files()
    bundle = open_bundle(files)
    assert bundle.manifest.labels[0].name == "grey"
    assert bundle.model == files["model.onnx"]
    assert bundle.sha256 == sha256(files["bundle.json"])


def test_the_shipped_bundle_opens_and_says_what_it_is_for() -> None:
    manifest = open_folder(BUNDLE).manifest
    assert (manifest.name, manifest.version) == (BUNDLE.parent.name, BUNDLE.name)
    assert "Not for clinical use" in manifest.intended_use
    assert manifest.limits
    assert manifest.training_data
    assert all(figure.n > 0 and figure.auc_ci95[0] < figure.auc < figure.auc_ci95[1] for figure in manifest.metrics)


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_one_changed_byte_of_the_model_is_noticed(place: int) -> None:
    files = bundle_files()
    model = bytearray(files["model.onnx"])
    model[place] ^= 1
    with pytest.raises(BundleAltered, match=r"model\.onnx"):
        open_bundle({**files, "model.onnx": bytes(model)})


def test_a_longer_model_is_noticed() -> None:
    files = bundle_files()
    with pytest.raises(BundleAltered):
        open_bundle({**files, "model.onnx": files["model.onnx"] + b"\0"})


@pytest.mark.parametrize("name", ["model.onnx", "bundle.json"])
def test_a_missing_file_is_named(name: str) -> None:
    files = bundle_files()
    del files[name]
    with pytest.raises(BundleIncomplete, match=name.replace(".", r"\.")):
        open_bundle(files)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_is_refused_before_anything_else_is_read(version: object) -> None:
    with pytest.raises(BundleSchemaUnknown, match="schema version"):
        open_bundle(bundle_files(schema_version=version, labels="something new"))


def test_a_manifest_that_is_not_json_or_not_an_object_is_refused() -> None:
    with pytest.raises(BundleUnreadable, match="JSON"):
        open_bundle({**bundle_files(), "bundle.json": b"\xff{"})
    with pytest.raises(BundleSchemaUnknown):
        open_bundle({**bundle_files(), "bundle.json": b"[]"})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"labels": []}, "labels"),
        ({"name": "../x"}, "name"),
        ({"version": "latest"}, "version"),
        ({"files": {}}, "model.onnx"),
        ({"surprise": 1}, "surprise"),
        ({"pooling": {"method": "max", "share": 1, "at_least": 1}}, "pooling.method"),
        ({"labels": [{"name": "a", "title": "A", "threshold": 0.5, "temperature": 0}]}, "temperature"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_place(change: dict[str, object], where: str) -> None:
    with pytest.raises(BundleUnreadable, match=where):
        open_bundle(bundle_files(**change))


def test_not_a_number_is_no_threshold() -> None:
    label = {"name": "a", "title": "A", "threshold": float("nan"), "temperature": 1}
    with pytest.raises(BundleUnreadable):
        open_bundle(bundle_files(labels=[label]))


def test_weights_outside_the_model_are_refused_wherever_they_hide() -> None:
    plain = tiny_model()
    plain.graph.initializer.append(external())

    in_attribute = tiny_model()
    in_attribute.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))

    in_branch = tiny_model()
    branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("elsewhere", TensorProto.FLOAT, [4])])
    branch.initializer.append(external())
    in_branch.graph.node.append(helper.make_node("If", ["q"], ["r"], then_branch=branch, else_branch=branch))

    in_function = tiny_model()
    node = helper.make_node("Constant", [], ["c"], value=external())
    in_function.functions.append(helper.make_function("d", "f", [], ["c"], [node], [helper.make_opsetid("", 18)]))

    in_sparse = tiny_model()
    indices = numpy_helper.from_array(np.arange(4, dtype=np.int64), "i")
    in_sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(external(), indices, [4]))

    for model in (plain, in_attribute, in_branch, in_function, in_sparse):
        with pytest.raises(BundleExternalData):
            open_bundle(bundle_files(model))


def test_a_model_with_other_outputs_is_refused() -> None:
    with pytest.raises(BundleModelUnusable, match="cam"):
        open_bundle(bundle_files(tiny_model(labels=2)))
    with pytest.raises(BundleModelUnusable):
        open_bundle(bundle_files(tiny_model(side=64)))


def test_something_else_than_a_model_is_refused() -> None:
    content = b"\x08\x09GIF89a"
    files = bundle_files(files={"model.onnx": {"sha256": sha256(content), "bytes": len(content)}})
    with pytest.raises(BundleModelUnusable):
        open_bundle({**files, "model.onnx": content})


def test_every_refusal_has_its_own_code() -> None:
    kinds = BundleRefused.__subclasses__()
    assert len({kind.code for kind in kinds}) == len(kinds) == 8
    assert json.dumps([kind.__doc__ for kind in kinds])
