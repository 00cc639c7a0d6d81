"""A result's DICOM documents: valid for an independent verifier, of the study they belong to, and of nobody."""

import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
from codetect_inference.bundle import Bundle, open_bundle, open_folder
from codetect_inference.capture import NOTICE, pictures, towards
from codetect_inference.documents import Document, documents
from codetect_inference.encoding import as_file
from codetect_inference.engine import Engine
from codetect_inference.explain import DISCLAIMER, Maps, explain, scoring
from codetect_inference.manifest import Manifest
from codetect_inference.mapping import mapping
from codetect_inference.preprocess import plan_series, prepare_batch
from codetect_inference.report import report
from codetect_inference.result import Result
from highdicom.sr import MeasurementsAndQualitativeEvaluations, srread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from tests.inference.conftest import SAMPLE, lung, read
from tests.inference.samples import BUNDLE, bundle_files, tiny_model

DCIODVFY = Path(sys.executable).parent / "dciodvfy"
ANALYSIS = UUID("0199a3d5-0000-7000-8000-000000000001")
TWO_LABELS = [
    {"name": "grey", "title": "Grey", "threshold": 0.6, "temperature": 0.5},
    {
        "name": "a_label_with_a_name_of_forty_characters_",
        "title": "Größe \\ Länge " * 9,
        "threshold": 0.5,
        "temperature": 0.5,
    },
]


def instances_of(*positions: tuple[float, float, float]) -> list[dict[str, object]]:
    return [
        {"index": n, "sop_instance_uid": f"2.25.{n + 100}", "position_mm": position}
        for n, position in enumerate(positions)
    ]


def manifest_of(slices: int, **changes: object) -> Manifest:
    instances = instances_of(*((0, 0, n) for n in range(slices)))
    facts: dict[str, object] = {
        "study_instance_uid": "2.25.7",
        "series_instance_uid": "2.25.1",
        "patient_id": "CD0123456789",
        "study_date": "20010203",
        "frame_of_reference_uid": "2.25.9",
        "pixel_spacing_mm": (0.7, 0.8),
        "slice_spacing_mm": 1,
        "slice_thickness_mm": 2.5,
        "volume": {"bytes": 1},
        "instances": instances,
    }
    return Manifest.model_validate(facts | changes)


def result(bundle: Bundle, hu: np.ndarray, maps: Maps, fence: int = 1, **changes: object) -> Result:
    plan = plan_series(len(hu), lambda n: hu[n], bundle.preprocessing.margin)
    manifest = manifest_of(len(hu), **changes)
    return Result(
        analysis_id=ANALYSIS,
        fence=fence,
        prefix=f"facility/{ANALYSIS}/{fence}/",
        manifest=manifest,
        bundle=bundle,
        bundle_sha256="5" * 64,
        explanation=explain(bundle, plan, maps, place=manifest.place),
        maps=maps,
        hu=dict(enumerate(hu)),
    )


def real(files: dict[str, bytes] | None, paths: list[Path], **changes: object) -> Result:
    """What a model says of these slices, as the worker has it."""
    loaded = open_bundle(files) if files else open_folder(BUNDLE)
    hu, how = read(paths), loaded.manifest.preprocessing
    plan = plan_series(len(hu), lambda n: hu[n], how.margin)
    engine = Engine(loaded, "cpu")
    outputs = engine.run(prepare_batch((hu[n] for n in plan.slices), plan.box, how))
    maps = Maps.of(plan, outputs)
    return result(loaded.manifest, hu, maps, **changes)


@pytest.fixture(scope="module")
def shipped() -> Result:
    return real(None, SAMPLE[::-1])


@pytest.fixture(scope="module")
def made(shipped: Result) -> list[Document]:
    return list(documents(shipped))


def errors(content: bytes, folder: Path) -> list[str]:
    """What dciodvfy calls an error, and its verdict on which IOD it is."""
    path = folder / "one.dcm"
    path.write_bytes(content)
    done = subprocess.run([DCIODVFY, "-new", path], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error") or not line.startswith("Warning")]


def texts(ds: Dataset) -> set[str]:
    """Every value in it that is one text."""
    return {element.value for element in ds.iterall() if isinstance(element.value, str)}


def parse(one: Document) -> Dataset:
    return pydicom.dcmread(BytesIO(one.content))


@pytest.mark.parametrize(
    ("files", "maps", "changes"),
    [
        (None, 1, {}),
        (bundle_files(tiny_model(2), labels=TWO_LABELS), 2, {}),
        (bundle_files(tiny_model(distance=True), outliers={"threshold": 0.1, "how": "grey"}), 1, {}),
        (
            bundle_files(),
            1,
            {
                "orientation": (0.98, 0.199, 0, 0, 0, -1),
                "instances": instances_of(*((-0.199 * n, 0.98 * n, 0) for n in range(12))),
                "slice_thickness_mm": None,
                "slice_spacing_mm": None,
            },
        ),
        (bundle_files(), 0, {"instances": instances_of(*((0, 0, n // 2) for n in range(12)))}),
        (
            bundle_files(),
            0,
            {"patient_id": "", "study_date": None, "frame_of_reference_uid": None, "pixel_spacing_mm": None},
        ),
    ],
    ids=[
        "shipped model",
        "two labels",
        "out of distribution",
        "turned",
        "two phases",
        "a manifest of the first release",
    ],
)
def test_documents_are_valid(
    files: dict[str, bytes] | None, maps: int, changes: dict[str, object], tmp_path: Path
) -> None:
    those = list(documents(real(files, lung(12), **changes)))
    expected = [["EnhancedSR"], *[["SCImage"]] * 4, *[["ParametricMap"]] * maps]
    assert [errors(one.content, tmp_path) for one in those] == expected
    assert [one.facts.kind for one in those] == ["sr", *["sc"] * 4, *["pm"] * maps]


def test_documents_are_encoded_as_pydicom_would(shipped: Result) -> None:
    for ds in (report(shipped), *pictures(shipped), *mapping(shipped)):
        content = as_file(ds)
        ds.save_as(buffer := BytesIO(), enforce_file_format=True)
        assert content == buffer.getvalue()


def test_the_verifier_would_complain(made: list[Document], tmp_path: Path) -> None:
    ds = parse(made[1])
    del ds.ConversionType
    ds.save_as(buffer := BytesIO())
    assert any("ConversionType" in line for line in errors(buffer.getvalue(), tmp_path))


def test_the_report_says_what_the_result_says(shipped: Result, made: list[Document], tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(made[0].content)
    content = srread(path).content
    group, unlike = content.get_image_measurement_groups()
    assert isinstance(group, MeasurementsAndQualitativeEvaluations)
    assert unlike.finding_type.value == "out_of_distribution"
    finding, label = shipped.explanation.findings[0], shipped.bundle.labels[0]
    values = {one.name.meaning: float(one.value) for one in group.get_measurements()}
    assert values == {
        "Probability": pytest.approx(finding.probability, abs=1e-6),
        "Threshold Value": pytest.approx(finding.threshold),
    }
    assert group.finding_type.value == label.name
    ((evaluation,),) = ([one.value for one in group.get_qualitative_evaluations()],)
    assert evaluation == (codes.SCT.Positive if finding.positive else codes.SCT.Negative)
    rows = scoring(shipped.explanation.probabilities[:, 0], shipped.bundle.pooling)
    scored = {f"2.25.{n + 100}" for n in shipped.maps.slices[rows].tolist()}
    assert {one.referenced_sop_instance_uid for one in group.source_images} == scored
    (peak,) = content.get_planar_roi_measurement_groups()
    assert finding.peak
    assert peak.finding_type == group.finding_type
    assert peak.roi.value.tolist() == [[finding.peak.column + 0.5, finding.peak.row + 0.5]]
    pointed = peak.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert pointed == f"2.25.{finding.peak.slice + 100}"
    (chance,) = peak.get_measurements()
    (row,) = np.flatnonzero(shipped.maps.slices == finding.peak.slice)
    assert float(chance.value) == pytest.approx(shipped.explanation.probabilities[row, 0], abs=1e-6)
    assert row == shipped.explanation.probabilities[:, 0].argmax()
    ds = parse(made[0])
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    assert (study.StudyInstanceUID, study.ReferencedSeriesSequence[0].SeriesInstanceUID) == ("2.25.7", "2.25.1")
    bundle = shipped.bundle
    expected = {bundle.name, bundle.version, f"sha256={'5' * 64}", DISCLAIMER, "en", "CT of chest", "Device"}
    assert expected <= texts(ds)
    assert ds.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (ds.CompletionFlag, ds.VerificationFlag) == ("COMPLETE", "UNVERIFIED")


def test_every_slice_read_and_the_series_are_named(shipped: Result, made: list[Document]) -> None:
    ds = parse(made[0])
    listed = {
        one.ReferencedSOPInstanceUID
        for sequence in (ds.CurrentRequestedProcedureEvidenceSequence, ds.get("PertinentOtherEvidenceSequence", []))
        for study in sequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert listed == {one.sop_instance_uid for one in shipped.manifest.instances}
    assert "2.25.1" in [element.value for element in ds.iterall() if element.keyword == "UID"]


def test_warnings_are_told() -> None:
    few = real(bundle_files(), lung(3))
    assert few.explanation.warnings
    assert {one.detail for one in few.explanation.warnings} <= texts(parse(next(documents(few))))


def test_how_unlike_the_training_data_the_study_is_stands_in_the_report(tmp_path: Path) -> None:
    outliers = {"threshold": 0.1, "how": "grey"}
    unlike = real(bundle_files(tiny_model(distance=True), outliers=outliers), lung(12))
    assert unlike.explanation.unlikeness
    path = tmp_path / "report.dcm"
    path.write_bytes(next(documents(unlike)).content)
    groups = srread(path).content.get_image_measurement_groups()
    (group,) = [one for one in groups if one.finding_type.value == "out_of_distribution"]
    values = {one.name.value: float(one.value) for one in group.get_measurements()}
    assert values == {
        "unlikeness": pytest.approx(unlike.explanation.unlikeness, abs=1e-6),
        codes.DCM.ThresholdValue.value: 1,
    }
    assert [one.value for one in group.get_qualitative_evaluations()] == [codes.SCT.Positive]


def test_without_evidence_the_report_points_nowhere(tmp_path: Path) -> None:
    nothing = real(bundle_files(tiny_model(weight=-1)), lung(3))
    assert nothing.explanation.findings[0].peak is None
    path = tmp_path / "report.dcm"
    path.write_bytes(next(documents(nothing)).content)
    assert srread(path).content.get_planar_roi_measurement_groups() == []


def slices_of(ds: Dataset) -> list[int]:
    """The slice that each frame is of, by what it says of its source."""
    sources = [one.DerivationImageSequence[0].SourceImageSequence[0] for one in ds.PerFrameFunctionalGroupsSequence]
    return [int(one.ReferencedSOPInstanceUID.removeprefix("2.25.")) - 100 for one in sources]


def test_the_heatmaps_lie_where_the_slices_do(shipped: Result, made: list[Document]) -> None:
    ds, n, box = parse(made[-1]), shipped.maps.slices.tolist(), shipped.maps.box
    shared = ds.SharedFunctionalGroupsSequence[0]
    high, wide = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    assert high * ds.Rows == pytest.approx((box.bottom - box.top) * 0.7, abs=0.001)
    assert wide * ds.Columns == pytest.approx((box.right - box.left) * 0.8, abs=0.001)
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert (int(ds.NumberOfFrames), ds.FrameOfReferenceUID) == (len(n), "2.25.9")
    assert sorted(slices_of(ds)) == n
    for frame, number in zip(ds.PerFrameFunctionalGroupsSequence, slices_of(ds), strict=True):
        x, y, z = map(float, frame.PlanePositionSequence[0].ImagePositionPatient)
        # The outer corner of the first pixel is the box's.
        assert x - wide / 2 == pytest.approx((box.left - 0.5) * 0.8, abs=0.011)
        assert y - high / 2 == pytest.approx((box.top - 0.5) * 0.7, abs=0.011)
        assert z == number


def test_the_heatmaps_of_a_turned_series_name_their_slices_too() -> None:
    positions = instances_of(*((-0.199 * n, 0.98 * n, 0) for n in range(12)))
    turned = real(bundle_files(), lung(12), orientation=(0.98, 0.199, 0, 0, 0, -1), instances=positions)
    ds = parse(list(documents(turned))[-1])
    assert sorted(slices_of(ds)) == turned.maps.slices.tolist()
    for frame, n in zip(ds.PerFrameFunctionalGroupsSequence, slices_of(ds), strict=True):
        offset = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float) - positions[n]["position_mm"]
        assert offset @ np.cross((0.98, 0.199, 0), (0, 0, -1)) == pytest.approx(0, abs=0.01)


def test_a_heatmaps_mean_is_its_slices_calibrated_logit(shipped: Result, made: list[Document]) -> None:
    ds = parse(made[-1])
    values = np.frombuffer(ds.FloatPixelData, "<f4").reshape(-1, ds.Rows, ds.Columns)
    row_of = shipped.maps.slices.tolist().index
    order = [row_of(n) for n in slices_of(ds)]
    logits = shipped.maps.logits[order, 0] / shipped.bundle.labels[0].temperature
    np.testing.assert_allclose(values.mean((1, 2)), logits, atol=0.01)
    finding, box = shipped.explanation.findings[0], shipped.maps.box
    assert finding.peak
    frame = values[slices_of(ds).index(finding.peak.slice)]
    row = int((finding.peak.row - box.top) / (box.bottom - box.top) * ds.Rows)
    column = int((finding.peak.column - box.left) / (box.right - box.left) * ds.Columns)
    assert frame[row, column] == frame.max()
    (mapping,) = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.LUTLabel, mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue) == (
        "covid_19",
        "evidence",
    )
    assert len(made[-1].content) < 1500 * len(values)


def test_a_deployment_can_do_without_parametric_maps(shipped: Result, made: list[Document]) -> None:
    assert list(documents(shipped, parametric_maps=False)) == made[:-1]


def test_pictures_show_the_slices_that_argue_most(shipped: Result, made: list[Document]) -> None:
    drawn = [parse(one) for one in made[1:5]]
    sources = [ds.SourceImageSequence[0].ReferencedSOPInstanceUID for ds in drawn]
    assert sources == [f"2.25.{n + 100}" for n in shipped.explanation.top_slices[:4]]
    for ds, n in zip(drawn, shipped.explanation.top_slices, strict=False):
        pixels = ds.pixel_array.astype(int)
        assert pixels.shape == (*shipped.hu[n].shape, 3)
        assert ds.BurnedInAnnotation == "NO"
        assert NOTICE in ds.DerivationDescription
        tinted = (pixels.max(2) - pixels.min(2)) > 30
        assert tinted.mean() > 0.01, "the map is laid over"
        notice = pixels[-30:-8, 8:250]
        assert (notice.min(2) > 230).mean() > 0.05, "the words are drawn in"
        assert (notice.max(2) < 25).mean() > 0.05, "with an edge that shows on any ground"
    assert {(ds.SeriesInstanceUID, ds.Modality) for ds in drawn} == {(drawn[0].SeriesInstanceUID, "OT")}
    assert [ds.InstanceNumber for ds in drawn] == [1, 2, 3, 4]


def test_a_second_try_writes_the_same_and_another_attempt_other_uids(shipped: Result, made: list[Document]) -> None:
    assert list(documents(shipped)) == made
    again = result(shipped.bundle, read(SAMPLE[::-1]), shipped.maps, fence=2)
    other = list(documents(again))
    uids = [{one.facts.sop_instance_uid for one in those} for those in (made, other)]
    assert [len(one) for one in uids] == [6, 6]
    assert not uids[0] & uids[1]
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids[0] | uids[1])


def test_documents_name_nobody_and_no_day(made: list[Document]) -> None:
    today = datetime.now(UTC).strftime("%Y%m%d")
    for one in made:
        ds = parse(one)
        assert (ds.PatientID, ds.StudyInstanceUID, ds.StudyDate) == ("CD0123456789", "2.25.7", "20010203")
        assert not ds.PatientName
        assert (ds.PatientIdentityRemoved, ds.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
        dates = {str(element.value) for element in ds.iterall() if element.VR in ("DA", "DT") and element.value}
        assert dates == {"20010203"}, "today's date beside the moved one would tell by how much it is moved"
        assert today.encode() not in one.content[:9000]
        facts = one.facts
        assert (facts.sop_instance_uid, facts.sop_class_uid) == (ds.SOPInstanceUID, ds.SOPClassUID)
        assert (facts.series_instance_uid, facts.series_number, facts.modality) == (
            ds.SeriesInstanceUID,
            ds.SeriesNumber,
            ds.Modality,
        )


@pytest.mark.parametrize(
    ("direction", "way"),
    [((1, 0, 0), "L"), ((0, 0.98, 0.2), "P"), ((-0.9, 0.1, 0), "R"), ((0, -1, 0), "A"), ((0, 0, 1), "H")],
)
def test_a_direction_has_its_letter(direction: tuple[float, float, float], way: str) -> None:
    assert towards(direction) == way


def test_a_worker_starts_without_what_documents_need() -> None:
    code = "import sys, codetect_inference.worker; print({'highdicom', 'pydicom'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
