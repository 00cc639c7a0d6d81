"""A result on paper and as FHIR: complete, readable, valid, and of nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pypdfium2
import pytest
from codetect_inference import fhir
from codetect_inference.explain import DISCLAIMER
from codetect_inference.paper import shown
from codetect_inference.pdf import report
from codetect_inference.result import Result
from codetect_inference.schemas import AnalysisOut
from codetect_shared.db import uuid7
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.reference import Reference
from pydantic import BaseModel, ValidationError

from tests.inference.conftest import SAMPLE, lung
from tests.inference.samples import bundle_files, tiny_model
from tests.inference.test_documents import TWO_LABELS, real

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)


def analysis(of: Result, **changes: Any) -> AnalysisOut:
    """What the API says of a result."""
    said, bundle = of.explanation, of.bundle
    model = {"name": bundle.name, "version": bundle.version, "sha256": of.bundle_sha256, "title": bundle.title}
    facts: dict[str, Any] = {
        **dict.fromkeys(("study_id", "upload_id", "series_id"), uuid7()),
        **dict.fromkeys(("created_at", "started_at", "finished_at"), NOW),
        "id": of.analysis_id,
        "study_version": 1,
        "series_reason": "The study's only series.",
        "status": "completed",
        "priority": "routine",
        "model": model,
        "attempts": 1,
        "slices_total": len(of.manifest.instances),
        "slices_done": len(of.manifest.instances),
        "slices_analysed": len(said.probabilities),
        "findings": [asdict(one) for one in said.findings],
        "warnings": [asdict(one) for one in said.warnings],
        "top_slices": list(said.top_slices),
        "top_scores": [asdict(one) for one in said.top_scores],
        "out_of_distribution": said.unlikeness and {"score": said.unlikeness, "flagged": said.unlikeness >= 1},
        "provider": "cpu",
        "timings": dict.fromkeys(("upload_ms", "import_ms", "queued_ms", "inference_ms", "total_ms"), 1),
        "error": None,
        "documents": [],
        "superseded": False,
        "tags": [],
        "folder": None,
    }
    return AnalysisOut.model_validate(facts | changes)


def paper(of: Result, **changes: Any) -> bytes:
    shown_slices = {n: of.hu[n] for n in of.explanation.top_slices[:4]}
    return report(analysis(of, **changes), of.bundle, of.manifest, of.maps, shown_slices)


@contextmanager
def opened(content: bytes) -> Iterator[pypdfium2.PdfDocument]:
    document = pypdfium2.PdfDocument(content)
    try:
        yield document
    finally:
        document.close()


def pages(content: bytes) -> list[str]:
    """The text of each page, on one line: that it can be got out says that fonts are embedded with their meaning."""
    found = []
    with opened(content) as document:
        for number in range(len(document)):
            page = document[number]
            text = page.get_textpage()
            found.append(" ".join(text.get_text_bounded().split()))
            text.close()
            page.close()
    return found


def drawn(content: bytes, number: int) -> np.ndarray:
    """A page as a picture, (rows, columns, 3), 144 dpi."""
    with opened(content) as document:
        page = document[number]
        bitmap = page.render(scale=2)
        pixels = np.array(bitmap.to_pil().convert("RGB"))
        bitmap.close()
        page.close()
    return pixels


@pytest.fixture(scope="module")
def shipped() -> Result:
    return real(None, SAMPLE[::-1][18:34])


@pytest.fixture(scope="module")
def plain() -> Result:
    """Of a model that can't tell what is unlike, and of which nothing was measured."""
    return real(bundle_files(), lung(12))


@pytest.fixture(scope="module")
def two_unlike() -> Result:
    """Of a model with two labels, one with a long title, that finds the study out of distribution."""
    model = tiny_model(2, distance=True)
    return real(bundle_files(model, labels=TWO_LABELS, outliers={"threshold": 0.1, "how": "grey"}), lung(12))


def test_the_paper_says_what_the_result_says(shipped: Result) -> None:
    first, second = pages(paper(shipped))
    finding, bundle, unlikeness = shipped.explanation.findings[0], shipped.bundle, shipped.explanation.unlikeness
    measured = bundle.metrics[0]
    assert finding.peak
    assert unlikeness
    assert measured.baseline_auc
    low, high = measured.auc_ci95
    for words in (
        *("CD0123456789", "2.25.7", "2026-11-26 12:30 UTC", bundle.title, f"{bundle.name} {bundle.version}", "5" * 64),
        f"have a mean probability of {finding.probability:.2f}",
        f"the model's threshold of {finding.threshold:.2f}",
        f"slice {finding.peak.slice + 1}, column {finding.peak.column}, row {finding.peak.row}",
        f"unlike those the model learnt from: {unlikeness:.2f} times" if unlikeness >= 1 else "images are like those",
        f"COVID-CT, val split 118 {measured.auc:.2f} ({low:.2f} to {high:.2f}) {measured.baseline_auc:.2f}",
        "The baseline knows an image's form alone",
    ):
        assert words in first, words
    for n in shipped.explanation.top_slices[:4]:
        assert f"Slice {n + 1} of 16: {bundle.labels[0].title}" in second
    assert bundle.intended_use in second
    for limit in bundle.limits:
        assert limit in second, limit


def test_each_page_says_what_it_is_not(shipped: Result, two_unlike: Result) -> None:
    for content in (paper(shipped), paper(two_unlike)):
        said = pages(content)
        assert len(said) == 2
        assert all(one.count(DISCLAIMER) >= 2 for one in said)
        assert [f"page {n} of 2" in one for n, one in enumerate(said, 1)] == [True, True]


def test_what_a_model_cannot_tell_the_paper_says(plain: Result) -> None:
    first = pages(paper(plain))[0]
    assert "can't tell whether images are unlike" in first
    assert "How the model did" not in first


def test_warnings_and_what_is_unlike_are_told(two_unlike: Result) -> None:
    first = pages(paper(two_unlike))[0]
    assert two_unlike.explanation.warnings
    for warning in two_unlike.explanation.warnings:
        assert warning.detail in first
    assert f"unlike those the model learnt from: {two_unlike.explanation.unlikeness:.2f} times" in first
    assert "Größe" in first, "letters beyond ASCII are embedded, too"


def test_slices_are_shown_with_their_maps_and_the_curve_with_its_dots(shipped: Result) -> None:
    content = paper(shipped)
    first, second = (drawn(content, n).astype(int) for n in range(2))
    with opened(content) as document:
        page = document[1]
        pictures = sum(1 for one in page.get_objects() if one.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE)
        page.close()
    assert pictures == 4
    middle = second[300:1300]
    reddish = (middle[..., 0] - middle[..., 2] > 40) & (middle[..., 0] > 80)
    assert reddish.mean() > 0.01, "maps are laid over"
    blue = (first[..., 2] - first[..., 0] > 120) & (first[..., 2] > 130)
    assert blue.sum() > 500, "the curve is drawn"


def test_the_same_result_makes_the_same_paper(shipped: Result) -> None:
    assert paper(shipped) == paper(shipped)


def test_a_moved_study_date_is_on_no_paper(shipped: Result) -> None:
    """Beside the day of the analysis it would tell by how much it is moved."""
    assert shipped.manifest.study_date == "20010203"
    content = paper(shipped)
    text = " ".join(pages(content)) + fhir.written(as_fhir(shipped)).decode()
    assert not [date for date in ("20010203", "2001-02-03", "2001") if date in text]
    assert len(content) < 1_000_000


def test_what_the_fonts_lack_is_a_question_mark() -> None:
    assert shown("Größe, Ελλάδα, Москва: 肺炎 …") == "Größe, Ελλάδα, Москва: ?? …"


def as_fhir(of: Result, **changes: Any) -> dict[str, Any]:
    return fhir.report(analysis(of, **changes), of.bundle, of.manifest)


def test_the_fhir_report_is_valid_r4_and_refers_to_all_it_holds(
    plain: Result, shipped: Result, two_unlike: Result
) -> None:
    for of, observations in ((plain, 1), (shipped, 2), (two_unlike, 3)):
        resource = as_fhir(of)
        DiagnosticReport.model_validate(resource)
        held = {one["id"] for one in resource["contained"] if one["resourceType"] == "Observation"}
        assert len(held) == observations
        assert {one["reference"] for one in resource["result"]} == {f"#{one}" for one in held}
        assert all(
            one["device"] == {"reference": "#model"}
            for one in resource["contained"]
            if one["resourceType"] == "Observation"
        )


def pointed_at(resource: Any, kinds: dict[str, str]) -> Iterator[tuple[str, str, list[str]]]:
    """Every reference of a resource: its place, the type it points at, and the types that R4 allows there."""
    for name, field in type(resource).model_fields.items():
        found = getattr(resource, name)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, Reference):
                allowed = (field.json_schema_extra or {})["enum_reference_types"]
                yield f"{type(resource).__name__}.{name}", one.type or kinds[one.reference], allowed
            elif isinstance(one, BaseModel):
                yield from pointed_at(one, kinds)


def test_every_reference_points_at_a_type_that_r4_allows_there(
    plain: Result, shipped: Result, two_unlike: Result
) -> None:
    for of in (plain, shipped, two_unlike):
        resource = as_fhir(of)
        kinds = {f"#{one['id']}": one["resourceType"] for one in resource["contained"]}
        found = list(pointed_at(DiagnosticReport.model_validate(resource), kinds))
        assert not [one for one in found if one[1] not in one[2]]
        assert {place for place, _, _ in found} == {
            *("DiagnosticReport.subject", "DiagnosticReport.result", "DiagnosticReport.imagingStudy"),
            *("Observation.subject", "Observation.device"),
        }


def test_the_validator_would_complain(shipped: Result) -> None:
    resource = as_fhir(shipped)
    del resource["contained"][1]["status"]
    with pytest.raises(ValidationError):
        DiagnosticReport.model_validate(resource)


def test_the_fhir_report_says_what_the_result_says(shipped: Result) -> None:
    resource = as_fhir(shipped)
    finding, bundle = shipped.explanation.findings[0], shipped.bundle
    device, observation, distance = resource["contained"]
    assert finding.peak
    assert (resource["status"], observation["status"]) == ("preliminary", "preliminary")
    assert resource["issued"] == "2026-11-26T12:30:00.000+00:00"
    assert observation["code"]["coding"] == [
        {"system": "urn:codetect:label", "code": "covid_19", "display": bundle.labels[0].title}
    ]
    assert observation["valueQuantity"]["value"] == pytest.approx(finding.probability, abs=1e-6)
    assert observation["referenceRange"][0]["high"]["value"] == finding.threshold
    assert observation["interpretation"][0]["coding"][0]["code"] == ("POS" if finding.positive else "NEG")
    parts = {one["code"]["coding"][0]["code"]: one for one in observation["component"]}
    assert [parts[f"peak-{axis}"]["valueQuantity"]["value"] for axis in "xyz"] == list(finding.peak.position_mm or ())
    assert parts["peak-slice"]["valueInteger"] == finding.peak.slice
    assert distance["valueQuantity"]["value"] == pytest.approx(shipped.explanation.unlikeness, abs=1e-6)
    assert device["version"] == [{"value": bundle.version}]
    assert device["identifier"][0]["value"] == "5" * 64
    assert resource["imagingStudy"][0]["identifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:2.25.7"}
    assert DISCLAIMER in resource["conclusion"]
    assert DISCLAIMER in resource["text"]["div"]


def test_a_title_cannot_become_markup(two_unlike: Result) -> None:
    warnings = [{"code": "x", "detail": "<script>alert(1)</script>"}]
    resource = as_fhir(two_unlike, warnings=warnings)
    assert "<script>" not in resource["text"]["div"]
    DiagnosticReport.model_validate(resource)


def test_a_study_of_nobody_known_has_no_subject() -> None:
    unknown = real(bundle_files(), lung(3), patient_id="", pixel_spacing_mm=None)
    resource = as_fhir(unknown)
    DiagnosticReport.model_validate(resource)
    assert "subject" not in resource
    (observation,) = resource["contained"][1:]
    assert [one["code"]["coding"][0]["code"] for one in observation["component"]] == [
        *("peak-slice", "peak-column", "peak-row")
    ]
    assert len(pages(paper(unknown))) == 2
