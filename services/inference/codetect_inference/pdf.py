"""A result on paper: findings in words, warnings, the curve of slice scores, top slices, what the model is not for.

Pseudonyms only, and no date of the study's, which is moved: the real date of the analysis would tell by how much.
"""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from codetect_inference.bundle import Bundle
from codetect_inference.curve import curve
from codetect_inference.drawing import on_slice
from codetect_inference.explain import Maps, peak_of, probabilities
from codetect_inference.manifest import Manifest
from codetect_inference.paper import GAP, LINE, MARGIN, WIDTH, Paper, shown
from codetect_inference.preprocess import HU
from codetect_inference.schemas import AnalysisOut, FindingOut
from codetect_inference.wording import found, peaked, unlike

PICTURE, PICTURE_PIXELS, QUALITY = 66.0, 768, 88


def report(analysis: AnalysisOut, bundle: Bundle, manifest: Manifest, maps: Maps, hu: Mapping[int, HU]) -> bytes:
    """Two pages; `hu` holds the slices to show. The same result makes the same bytes."""
    paper = Paper(analysis)
    chances = probabilities(bundle, maps.logits)
    paper.facts(_facts(analysis, bundle, manifest))
    titles = {label.name: label.title for label in bundle.labels}
    paper.heading("Findings")
    paper.rows(
        ("Finding", "Result", "Probability (calibrated)", "Threshold"),
        *(
            (titles[one.label], _verdict(one), f"{one.probability:.2f}", f"{one.threshold:.2f}")
            for one in analysis.findings
        ),
        widths=(86, 30, 36, 26),
    )
    paper.ln(1)
    for one in analysis.findings:
        paper.sentence(found(one, titles[one.label]))
        if place := peaked(one):
            paper.sentence(place, faint=True)
    paper.heading("Before you believe it")
    paper.sentence(unlike(analysis.out_of_distribution))
    for warning in analysis.warnings:
        paper.sentence(f"• {warning.detail}")
    paper.heading("Each slice's probability, from feet to head")
    curve(paper, bundle, len(manifest.instances), maps.slices, chances, analysis.top_slices)
    if bundle.metrics:
        paper.heading("How the model did, slice by slice")
        _metrics(paper, bundle)
    paper.add_page()
    paper.heading("The slices that argue most")
    _pictures(paper, bundle, manifest, maps, chances, hu)
    paper.heading("What the model is for")
    paper.sentence(bundle.intended_use)
    paper.heading("What it is not, and what limits it")
    for limit in bundle.limits:
        paper.sentence(f"• {limit}", small=True)
    return bytes(paper.output())


def _facts(analysis: AnalysisOut, bundle: Bundle, manifest: Manifest) -> dict[str, str]:
    assert analysis.finished_at
    return {
        "Patient (pseudonym)": manifest.patient_id or "unknown",
        "Study (pseudonym)": manifest.study_instance_uid,
        "Series": f"{manifest.series_instance_uid}\n{analysis.series_reason or ''}".rstrip(),
        "Slices": _slices(analysis),
        "Analysed": analysis.finished_at.strftime("%Y-%m-%d %H:%M UTC")
        + (", and superseded by a newer analysis" if analysis.superseded else ""),
        "Model": f"{bundle.title}\n{bundle.name} {bundle.version}, run on {analysis.provider}",
        "Model's SHA-256": analysis.model.sha256 or "",
    }


def _slices(analysis: AnalysisOut) -> str:
    if analysis.slices_analysed == analysis.slices_total:
        return f"All {analysis.slices_total} were read."
    return f"{analysis.slices_analysed} of {analysis.slices_total} were read; the others show no lung."


def _verdict(one: FindingOut) -> str:
    return "positive" if one.positive else "negative"


def _metrics(paper: Paper, bundle: Bundle) -> None:
    paper.rows(
        ("Images of", "Number", "AUC (95 %)", "Baseline's AUC", "Sensitivity", "Specificity"),
        *(
            (
                one.data,
                f"{one.n:,}",
                f"{one.auc:.2f} ({one.auc_ci95[0]:.2f} to {one.auc_ci95[1]:.2f})",
                "not measured" if one.baseline_auc is None else f"{one.baseline_auc:.2f}",
                f"{one.sensitivity:.2f}",
                f"{one.specificity:.2f}",
            )
            for one in bundle.metrics
        ),
        widths=(62, 16, 36, 24, 20, 20),
    )
    if any(one.baseline_auc is not None for one in bundle.metrics):
        paper.sentence(
            "The baseline knows an image's form alone and never looks at lungs: what it guesses, the model may owe to "
            "where images came from.",
            small=True,
        )


def _pictures(
    paper: Paper,
    bundle: Bundle,
    manifest: Manifest,
    maps: Maps,
    chances: NDArray[np.float32],
    hu: Mapping[int, HU],
) -> None:
    """Two beside each other, each with the map of its likeliest label laid over and a ring around the peak."""
    row_of = {n: row for row, n in enumerate(maps.slices.tolist())}
    top = paper.get_y() + 1
    left = MARGIN + (WIDTH - 2 * PICTURE - GAP) / 2
    for number, (n, pixels) in enumerate(hu.items()):
        row = row_of[n]
        column = int(chances[row].argmax())
        label = bundle.labels[column]
        how = bundle.preprocessing
        picture = on_slice(pixels, how.level_hu, how.width_hu, maps, row, column, label.temperature)
        _ring(picture, maps, row, column)
        picture.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
        x, y = left + number % 2 * (PICTURE + GAP), top + number // 2 * (PICTURE + 7)
        said = f"Slice {n + 1} of {len(manifest.instances)}: {label.title} {chances[row, column]:.2f}"
        paper.image(_jpeg(picture), x, y, PICTURE, PICTURE, keep_aspect_ratio=True, alt_text=shown(said))
        paper.set_xy(x, y + PICTURE + 0.5)
        paper.write_as(7.5)
        paper.cell(PICTURE, LINE, _short(paper, said), align="C")
    paper.set_xy(MARGIN, top + (len(hu) + 1) // 2 * (PICTURE + 7))
    paper.sentence(
        "Colours show where the model found evidence, from yellow to dark red; the ring is its strongest place. "
        "The map is coarse and says what the model used, not what is ill.",
        faint=True,
        small=True,
    )


def _ring(picture: Image.Image, maps: Maps, row: int, column: int) -> None:
    if peak := peak_of(maps, row, column):
        radius, width = picture.width // 40, max(1, picture.width // 200)
        box = (peak.column - radius, peak.row - radius, peak.column + radius, peak.row + radius)
        ImageDraw.Draw(picture).ellipse(box, outline="cyan", width=width)


def _short(paper: Paper, text: str) -> str:
    """As much of a line as fits below a picture."""
    text = shown(text)
    if paper.get_string_width(text) <= PICTURE:
        return text
    while paper.get_string_width(f"{text}…") > PICTURE:
        text = text[:-1]
    return f"{text}…"


def _jpeg(picture: Image.Image) -> BytesIO:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    buffer.seek(0)
    return buffer
