"""From slice logits and maps to what people read: study score, findings, warnings, top slices, overlays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

from codetect_inference.bundle import Bundle, Pooling
from codetect_inference.engine import Outputs
from codetect_inference.preprocess import HU, Box, Plan, window

Floats = NDArray[np.float32]

DISCLAIMER = "Not a medical device. Not for clinical use."
TOP_SLICES = 5
OPACITY = 0.6
CLEAR_EVIDENCE = 4.0  # a logit, after the temperature


@dataclass(frozen=True)
class Finding:
    """One label of the bundle and what the study says to it."""

    label: str
    probability: float
    threshold: float
    positive: bool


@dataclass(frozen=True)
class StudyWarning:
    """Something to know before believing the result."""

    code: str
    detail: str


@dataclass(frozen=True)
class Maps:
    """What is kept of a study's run, one row per analysed slice; any overlay can be drawn from it later.

    `slices` (n,) numbers within the series, `logits` (n, labels) float32, `cams` (n, labels, s, s) float16,
    `distances` (n,) float32 of models that tell what is unlike their training data, `inputs` (n, 2) mean and standard
    deviation of the prepared slices.
    """

    slices: NDArray[np.int32]
    logits: Floats
    cams: NDArray[np.float16]
    box: Box
    distances: Floats | None = None
    inputs: Floats | None = None

    @classmethod
    def of(cls, plan: Plan, outputs: Outputs, inputs: Floats | None = None) -> Maps:
        """From what the model said to the planned slices."""
        cams = outputs.cams.astype(np.float16)
        return cls(np.array(plan.slices, np.int32), outputs.logits, cams, plan.box, outputs.distances, inputs)

    def pack(self) -> bytes:
        """As one compressed npz."""
        buffer = io.BytesIO()
        box = np.array([self.box.top, self.box.bottom, self.box.left, self.box.right], np.int32)
        arrays: dict[str, NDArray[Any]] = {"slices": self.slices, "logits": self.logits, "cams": self.cams, "box": box}
        if self.distances is not None:
            arrays["distances"] = self.distances
        if self.inputs is not None:
            arrays["inputs"] = self.inputs
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def unpack(cls, content: bytes) -> Maps:
        """Read what `pack` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            box, more = Box(*kept["box"].tolist()), (kept.get("distances"), kept.get("inputs"))
            return cls(kept["slices"], kept["logits"], kept["cams"], box, *more)


@dataclass(frozen=True)
class Explanation:
    """A study's result, ready to be stored. `probabilities` (n, labels) belong to the analysed slices in order.

    `unlikeness`: how unlike the training data the study is, the median of its slices' distances over the bundle's
    threshold; from 1 on it is out of distribution. None of models that can't tell.
    """

    findings: tuple[Finding, ...]
    warnings: tuple[StudyWarning, ...]
    top_slices: tuple[int, ...]
    probabilities: Floats
    unlikeness: float | None = None


def explain(
    bundle: Bundle, plan: Plan, maps: Maps, irregularities: Mapping[str, float] = MappingProxyType({})
) -> Explanation:
    """What the model said to the planned slices -> the study's result; `irregularities` are the series' own."""
    chances = probabilities(bundle, maps.logits)
    findings = []
    for column, label in enumerate(bundle.labels):
        score = study_score(chances[:, column], bundle.pooling)
        findings.append(Finding(label.name, score, label.threshold, score >= label.threshold))
    order = np.argsort(-chances.max(1), kind="stable")[:TOP_SLICES]
    unlike = unlikeness(bundle, maps)
    remarks = (*unlike_warnings(unlike), *warnings(bundle, plan, irregularities))
    return Explanation(tuple(findings), remarks, tuple(plan.slices[row] for row in order), chances, unlike)


def unlikeness(bundle: Bundle, maps: Maps) -> float | None:
    """How unlike the training data a study is, as a multiple of the bundle's threshold."""
    if bundle.outliers is None or maps.distances is None:
        return None
    return float(np.median(maps.distances)) / bundle.outliers.threshold


def unlike_warnings(unlike: float | None) -> tuple[StudyWarning, ...]:
    """What is said of a study that is out of distribution."""
    if unlike is None or unlike < 1:
        return ()
    words = "These images are unlike those the model learnt from: don't rely on this result."
    return (StudyWarning("out_of_distribution", words),)


def probabilities(bundle: Bundle, logits: Floats) -> Floats:
    """Calibrated probability of each label on each slice, (n, labels)."""
    temperatures = np.array([label.temperature for label in bundle.labels], np.float32)
    return np.asarray(expit(logits / temperatures), np.float32)


def study_score(chances: Floats, pooling: Pooling) -> float:
    """One label's score of the study: the mean of its highest slices (docs/adr/0010)."""
    return float(chances[scoring(chances, pooling)].mean(dtype=np.float64))


def scoring(chances: Floats, pooling: Pooling) -> NDArray[np.intp]:
    """The rows whose slices make a label's score, the highest last."""
    count = min(len(chances), max(pooling.at_least, round(pooling.share * len(chances))))
    return np.argsort(chances, kind="stable")[-count:]


def warnings(bundle: Bundle, plan: Plan, irregularities: Mapping[str, float]) -> tuple[StudyWarning, ...]:
    """What makes this result weaker than its number looks."""
    found = []
    count = len(plan.slices)
    if plan.little_lung:
        found.append(
            StudyWarning("little_lung", "No slice clearly shows lung, only the airway: don't rely on this result.")
        )
    if count < bundle.few_slices:
        slices = "1 slice was" if count == 1 else f"{count} slices were"
        found.append(
            StudyWarning("few_slices", f"Only {slices} analysed; results are steadier from {bundle.few_slices} on.")
        )
    if missing := irregularities.get("missing_slices"):
        lacking = "1 slice is" if missing == 1 else f"{missing:.0f} slices are"
        found.append(
            StudyWarning("missing_slices", f"{lacking} missing within the series: what lies there wasn't seen.")
        )
    if "overlapping_phases" in irregularities:
        found.append(
            StudyWarning("overlapping_phases", "Slices lie at the same place, as of several phases: each counts alone.")
        )
    return tuple(found)


def slice_png(hu: HU, level_hu: float, width_hu: float) -> bytes:
    """A slice (rows, columns) through a window, as a grey PNG of its own size."""
    return _png(Image.fromarray(grey(hu, level_hu, width_hu)))


def grey(hu: HU, level_hu: float, width_hu: float) -> NDArray[np.uint8]:
    """A slice (rows, columns) through a window, 0 black."""
    return np.rint(window(hu, level_hu, width_hu) * 255).astype(np.uint8)


def heatmap_png(maps: Maps, row: int, column: int, shape: Sequence[int], temperature: float) -> bytes:
    """`overlay` as a transparent PNG."""
    return _png(Image.fromarray(overlay(maps, row, column, shape, temperature)))


def overlay(maps: Maps, row: int, column: int, shape: Sequence[int], temperature: float) -> NDArray[np.uint8]:
    """What to lay over one analysed slice (`row`) for a label (`column`): RGBA of the slice's shape.

    Each place shows what it adds for the label, on one scale for the study: full colour is its strongest place, or a
    probability of 0.98 where nothing is as strong. A slice without evidence stays clear.
    """
    cams = maps.cams[:, column].astype(np.float32)
    bias = float(maps.logits[row, column]) - float(cams[row].mean())
    full = max(float(cams.max()) + bias, CLEAR_EVIDENCE * temperature)
    box = maps.box
    size = (box.right - box.left, box.bottom - box.top)
    smooth = np.asarray(Image.fromarray(cams[row] + np.float32(bias)).resize(size, Image.Resampling.BICUBIC))
    heat = np.clip(smooth / np.float32(full), 0, 1).astype(np.float32)
    canvas = np.zeros((shape[0], shape[1], 4), np.uint8)
    canvas[box.top : box.bottom, box.left : box.right] = colour(heat)
    return canvas


def colour(heat: Floats) -> NDArray[np.uint8]:
    """Heat 0..1 (rows, columns) -> RGBA: clear, then yellow, orange and dark red, each darker than the last."""
    stops = np.array([0, 0.35, 0.7, 1])
    rgb = np.array([[255, 237, 160], [254, 178, 76], [240, 59, 32], [150, 0, 38]], np.float32)
    parts = [np.interp(heat, stops, rgb[:, channel]) for channel in range(3)]
    return np.rint(np.stack([*parts, heat**0.5 * OPACITY * 255], -1)).astype(np.uint8)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
