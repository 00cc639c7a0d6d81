"""Model bundles: what bundle.json says, and the checks that a bundle passes before anything runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import onnx
from google.protobuf.message import DecodeError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codetect_inference.signature import SIGNATURE, Keys, SignatureWrong, SignerUnknown, verify

MANIFEST = "bundle.json"
MODEL = "model.onnx"
SCHEMA_VERSION = 1


class BundleRefused(Exception):
    """The model bundle can't be used."""

    code = "bundle_refused"


class BundleIncomplete(BundleRefused):
    """A file that the bundle needs isn't there."""

    code = "bundle_incomplete"


class BundleUnreadable(BundleRefused):
    """bundle.json isn't what this version of CoDetect expects."""

    code = "bundle_unreadable"


class BundleSchemaUnknown(BundleRefused):
    """bundle.json has a schema version that this CoDetect doesn't know."""

    code = "bundle_schema_unknown"


class BundleAltered(BundleRefused):
    """A file of the bundle isn't the one that bundle.json describes."""

    code = "bundle_altered"


class BundleUnsigned(BundleRefused):
    """The bundle has no signature that can be read."""

    code = "bundle_unsigned"


class BundleSignerUnknown(BundleRefused):
    """The bundle was signed by somebody whom this platform doesn't trust."""

    code = "bundle_signer_unknown"


class BundleExternalData(BundleRefused):
    """The model takes weights from outside its file, which could be any file of the machine."""

    code = "bundle_external_data"


class BundleModelUnusable(BundleRefused):
    """The model doesn't have the inputs and outputs that bundle.json promises."""

    code = "bundle_model_unusable"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OperatingPoint(_Part):
    """A threshold that reaches a sensitivity, slice by slice on the data of the first metrics, and what it costs."""

    sensitivity: Annotated[float, Field(gt=0, le=1)]
    specificity: Annotated[float, Field(ge=0, le=1)]
    threshold: Annotated[float, Field(gt=0, lt=1)]


class Label(_Part):
    """One condition: the model's output in the order of the list."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    title: str
    threshold: Annotated[float, Field(gt=0, lt=1, description="Slice probabilities from here on count as positive")]
    study_threshold: Annotated[
        float | None, Field(gt=0, lt=1, description="Study scores from here on do; without it, those from `threshold`")
    ] = None
    temperature: Annotated[float, Field(gt=0, description="Slice logits are divided by it before the sigmoid")]
    operating_points: tuple[OperatingPoint, ...] = ()

    @property
    def positive_from(self) -> float:
        """The study score from which on a study counts as positive: the highest of many slices, not one of them."""
        return self.threshold if self.study_threshold is None else self.study_threshold


class Preprocessing(_Part):
    """How a slice in HU becomes the model's input, one channel in 0..1."""

    side: Annotated[int, Field(ge=32, le=1024, description="Pixels of the square input")]
    level_hu: float
    width_hu: Annotated[float, Field(gt=0)]
    margin: Annotated[float, Field(ge=0, le=1, description="Room kept around the body, as a share of its extent")]


class Pooling(_Part):
    """The study score is the mean of the highest slice probabilities: this share of them, at least so many."""

    method: Literal["mean_of_highest"]
    share: Annotated[float, Field(gt=0, le=1)]
    at_least: Annotated[int, Field(ge=1)]


class Outliers(_Part):
    """The model's output `distance` tells how unlike its training data a slice is: from `threshold` on it is unlike."""

    threshold: Annotated[float, Field(gt=0)]
    how: str


class Histogram(_Part):
    """How a number was spread: ascending `edges` between bins, and the share of each of the len(edges) + 1 bins."""

    edges: Annotated[tuple[float, ...], Field(min_length=1, max_length=99)]
    shares: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=2, max_length=100)]

    @model_validator(mode="after")
    def _is_one(self) -> Histogram:
        if list(self.edges) != sorted(set(self.edges)) or len(self.shares) != len(self.edges) + 1:
            raise ValueError("edges must ascend, and there must be one share more than edges")
        if abs(sum(self.shares) - 1) > 0.01:
            raise ValueError("shares must add up to 1")
        return self


class Reference(_Part):
    """What the model's life is compared with, slice by slice: inputs and scores on what it usually meets.

    Measures: `input_mean` and `input_spread` (mean and standard deviation of the prepared slice, 0..1), `distance` (of
    models that give it) and `score:<label>` (calibrated probability).
    """

    data: str
    n: Annotated[int, Field(ge=1)]
    measures: dict[
        Annotated[str, Field(pattern=r"^(input_mean|input_spread|distance|score:[a-z0-9_]{1,40})$")], Histogram
    ]


class BundleFile(_Part):
    """Size and hash that a file must have."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Metrics(_Part):
    """Figures on one data set, slice by slice, as `codetect_training evaluate` prints them."""

    data: str
    n: int
    auc: float
    auc_ci95: tuple[float, float]
    accuracy: float
    f1: float
    sensitivity: float
    specificity: float
    ece: float
    baseline_auc: Annotated[
        float | None, Field(description="What is guessed without the lungs: from size, edges and compression alone")
    ] = None
    note: str = ""


class Bundle(_Part):
    """bundle.json: what the model is, how to feed it and how to read it, and what it must not be used for."""

    schema_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: str
    labels: Annotated[tuple[Label, ...], Field(min_length=1)]
    preprocessing: Preprocessing
    pooling: Pooling
    few_slices: Annotated[int, Field(ge=1, description="Fewer slices with lung than this get a warning")]
    intended_use: str
    limits: tuple[str, ...]
    training_data: tuple[str, ...]
    metrics: tuple[Metrics, ...]
    outliers: Outliers | None = None
    reference: Reference | None = None
    files: dict[str, BundleFile]

    @model_validator(mode="after")
    def _lists_the_model(self) -> Bundle:
        if MODEL not in self.files:
            raise ValueError(f"files must list {MODEL}")
        return self


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle that passed every check; `sha256` of bundle.json names it, since that pins each file."""

    manifest: Bundle
    model: bytes
    sha256: str
    signed_by: str | None = None


def open_folder(folder: Path, keys: Keys | None = None) -> LoadedBundle:
    """Check a bundle that lies in a folder. Raises BundleRefused."""
    return open_bundle({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}, keys)


def open_bundle(files: Mapping[str, bytes], keys: Keys | None = None) -> LoadedBundle:
    """Check a bundle given as file name -> content. Raises BundleRefused, whose subclasses say what is wrong.

    It has to be signed with one of `keys`, before its model is even parsed; None: whoever made it vouches for it.
    """
    manifest = read_manifest(files.get(MANIFEST))
    for name, promised in manifest.files.items():
        if name not in files:
            raise BundleIncomplete(f"{name} is missing from the bundle")
        content = files[name]
        if len(content) != promised.bytes or hashlib.sha256(content).hexdigest() != promised.sha256:
            raise BundleAltered(f"{name} isn't the file that {MANIFEST} describes: its size or SHA-256 differs")
    sha256 = hashlib.sha256(files[MANIFEST]).hexdigest()
    signer = None if keys is None else check_signature(files.get(SIGNATURE), digests(manifest, sha256), keys)
    check_model(files[MODEL], manifest)
    return LoadedBundle(manifest, files[MODEL], sha256, signer)


def digests(manifest: Bundle, sha256: str) -> dict[str, str]:
    """SHA-256 of each file of a bundle, whose bundle.json has `sha256`: what is signed."""
    return {MANIFEST: sha256} | {name: file.sha256 for name, file in manifest.files.items()}


def check_signature(content: bytes | None, wanted: Mapping[str, str], keys: Keys) -> str:
    """The fingerprint of the trusted key that signed exactly these files."""
    how = "sign it with `python -m codetect_training sign`"
    if content is None:
        raise BundleUnsigned(f"The bundle has no {SIGNATURE}: {how}")
    try:
        signed = verify(content, keys)
    except SignerUnknown as error:
        add = "add its public key to CODETECT_INFERENCE_MODEL_KEYS if it should be"
        raise BundleSignerUnknown(f"{SIGNATURE}: {error}; {add}") from error
    except SignatureWrong as error:
        raise BundleAltered(f"{SIGNATURE}: {error}") from error
    except ValueError as error:
        raise BundleUnsigned(f"{SIGNATURE} can't be used: {error}; {how}") from error
    if signed.files != wanted:
        differing = ", ".join(sorted(name for name, _ in signed.files.items() ^ wanted.items()))
        raise BundleAltered(f"{SIGNATURE} is not of these files: {differing} missing, altered or unknown to {MANIFEST}")
    return signed.signer


def read_manifest(content: bytes | None) -> Bundle:
    """Parse bundle.json; the schema version is looked at first, so that a newer bundle gets a clear answer."""
    if content is None:
        raise BundleIncomplete(f"{MANIFEST} is missing from the bundle")
    try:
        raw: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleUnreadable(f"{MANIFEST} isn't JSON: {error}") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleSchemaUnknown(f"{MANIFEST} has schema version {version!r}; this CoDetect reads {SCHEMA_VERSION}")
    try:
        return Bundle.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleUnreadable(f"{MANIFEST} is wrong at {where or 'its top'}: {first['msg']}") from error


def check_model(content: bytes, manifest: Bundle) -> None:
    """Refuse a model with outside weights, or with other inputs and outputs than the manifest's."""
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise BundleModelUnusable(f"{MODEL} isn't an ONNX model") from error
    graphs = [model.graph, *(function for function in model.functions)]
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data for tensor in _tensors(graphs)):
        raise BundleExternalData(f"{MODEL} refers to weights outside itself (external_data)")
    labels, side = len(manifest.labels), manifest.preprocessing.side
    wanted = {"image": [1, side, side], "logits": [labels], "cam": [labels, side // 32, side // 32]}
    if manifest.outliers:
        wanted["distance"] = []
    found = {value.name: _shape(value) for value in (*model.graph.input, *model.graph.output)}
    if found != wanted:
        raise BundleModelUnusable(f"{MODEL} has {found} (without the batch); {MANIFEST} needs {wanted}")


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim][1:]


def _tensors(graphs: Iterable[onnx.GraphProto | onnx.FunctionProto]) -> Iterable[onnx.TensorProto]:
    """Every tensor of these graphs, those of nodes' attributes and of graphs inside nodes too."""
    for graph in graphs:
        if isinstance(graph, onnx.GraphProto):
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            yield from _tensors([attribute.g, *attribute.graphs])
