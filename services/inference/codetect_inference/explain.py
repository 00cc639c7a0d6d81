"""From slice logits and maps to what people read: study score, findings, warnings, top slices, overlays."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit

from codetect_inference.bundle import Bundle, Pooling
from codetect_inference.preprocess import Box, Plan

if TYPE_CHECKING:  # an API process draws heatmaps without ONNX Runtime
    from codetect_inference.engine import Outputs

Floats = NDArray[np.float32]

DISCLAIMER = "Not a medical device. Not for clinical use."
TOP_SLICES = 5
UNLIKE_FROM = 1.0  # times the distance that a bundle allows: out of distribution

Vector = tuple[float, float, float]
Place = Callable[[int, float, float], Vector | None]  # slice, column, row -> mm in the patient (LPS), where known


@dataclass(frozen=True)
class Peak:
    """Where a slice argues most for a label: its number, the pixel, and where that lies in the patient (LPS, mm)."""

    slice: int
    column: int
    row: int
    position_mm: Vector | None = None


@dataclass(frozen=True)
class Finding:
    """One label of the bundle and what the study says to it; `peak` on its likeliest slice, None without evidence."""

    label: str
    probability: float
    threshold: float
    positive: bool
    peak: Peak | None = None


@dataclass(frozen=True)
class SliceScore:
    """A slice's number, and the calibrated probability of each label on it."""

    slice: int
    probabilities: Mapping[str, float]


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
    top_scores: tuple[SliceScore, ...] = ()


def nowhere(slice_number: int, column: float, row: float) -> Vector | None:
    """Where pixels lie in the patient when the series doesn't tell."""
    return None


def explain(
    bundle: Bundle,
    plan: Plan,
    maps: Maps,
    irregularities: Mapping[str, float] = MappingProxyType({}),
    place: Place = nowhere,
) -> Explanation:
    """What the model said to the planned slices -> the study's result; `irregularities` are the series' own."""
    chances = probabilities(bundle, maps.logits)
    findings = []
    for column, label in enumerate(bundle.labels):
        score = study_score(chances[:, column], bundle.pooling)
        peak = peak_of(maps, int(chances[:, column].argmax()), column, place)
        findings.append(Finding(label.name, score, label.positive_from, score >= label.positive_from, peak))
    order = np.argsort(-chances.max(1), kind="stable")[:TOP_SLICES]
    unlike = unlikeness(bundle, maps)
    remarks = (*unlike_warnings(unlike), *warnings(bundle, plan, irregularities))
    names = [label.name for label in bundle.labels]
    top = tuple(SliceScore(plan.slices[row], dict(zip(names, chances[row].tolist(), strict=True))) for row in order)
    return Explanation(tuple(findings), remarks, tuple(one.slice for one in top), chances, unlike, top)


def unlikeness(bundle: Bundle, maps: Maps) -> float | None:
    """How unlike the training data a study is, as a multiple of the bundle's threshold."""
    if bundle.outliers is None or maps.distances is None:
        return None
    return float(np.median(maps.distances)) / bundle.outliers.threshold


def unlike_warnings(unlike: float | None) -> tuple[StudyWarning, ...]:
    """What is said of a study that is out of distribution."""
    if unlike is None or unlike < UNLIKE_FROM:
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


def bias_of(maps: Maps, row: int, column: int) -> np.float32:
    """What the model adds to a slice's logit for a label wherever it looks: the logit is the map's mean, and this."""
    return np.float32(float(maps.logits[row, column]) - float(maps.cams[row, column].astype(np.float32).mean()))


def shares(maps: Maps, row: int, column: int) -> Floats:
    """What each cell of a slice's (`row`) map adds to its logit for a label (`column`), which is their mean: (s, s)."""
    return np.asarray(maps.cams[row, column].astype(np.float32) + bias_of(maps, row, column))


def evidence(maps: Maps, row: int, column: int) -> Floats:
    """The same drawn smoothly, pixel by pixel of the box: (height, width)."""
    size = (maps.box.right - maps.box.left, maps.box.bottom - maps.box.top)
    return np.asarray(Image.fromarray(shares(maps, row, column)).resize(size, Image.Resampling.BICUBIC))


def peak_of(maps: Maps, row: int, column: int, place: Place = nowhere) -> Peak | None:
    """Where one analysed slice (`row`) argues most for a label (`column`); None where nothing does."""
    cam, box = shares(maps, row, column), maps.box
    y, x = map(int, np.unravel_index(int(cam.argmax()), cam.shape))
    if cam[y, x] <= 0:
        return None
    across = (x + 0.5 + _vertex(cam[y], x)) / cam.shape[1] * (box.right - box.left)
    down = (y + 0.5 + _vertex(cam[:, x], y)) / cam.shape[0] * (box.bottom - box.top)
    n, at_column, at_row = int(maps.slices[row]), box.left + int(across), box.top + int(down)
    return Peak(n, at_column, at_row, place(n, at_column, at_row))


def _vertex(line: Floats, at: int) -> float:
    """How far (-0.5 to 0.5) from its highest cell a line of cells is highest, by a parabola through the neighbours."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, here, after = map(float, line[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.5 * (before - after) / bend if bend else 0.0
