"""The structured report of a result: TID 1500 (PS3.16), one group of measurements a label (docs/adr/0056, 0092).

A label's peak is a group of its own (TID 1410): a point on the image. So is how unlike the training data the study is.
"""

from collections.abc import Sequence

import numpy as np
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    GraphicTypeValues,
    ImageRegion,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from codetect_inference.explain import DISCLAIMER, UNLIKE_FROM, scoring
from codetect_inference.manifest import ManifestInstance
from codetect_inference.result import MANUFACTURER, Result, uid_of

SERIES_NUMBER = 90001
SCHEME = "99CODETECT"
LONGEST_MEANING = 64  # characters, says the standard; verifiers count bytes
ENGLISH = CodedConcept("en", "RFC5646", "English")
CT_OF_CHEST = CodedConcept("169069000", "SCT", "CT of chest")
OUT_OF_DISTRIBUTION = CodedConcept("out_of_distribution", SCHEME, "Unlike the training data")
UNLIKENESS = CodedConcept("unlikeness", SCHEME, "Unlikeness to the training data")


def report(result: Result) -> Dataset:
    """The result as an Enhanced SR document; final, and verified by nobody."""
    evidence = sources(result, result.manifest.instances)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(result)),
        procedure_reported=CT_OF_CHEST,
        imaging_measurements=_groups(result, evidence),
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(ENGLISH),
    )
    remarks = [DISCLAIMER, *(one.detail for one in result.explanation.warnings)]
    content[0].ContentSequence.extend(
        TextContentItem(codes.DCM.Comment, remark, RelationshipTypeValues.CONTAINS) for remark in remarks
    )
    # EnhancedSR copies and searches what it is given four times over, most of a report's time. It gets the root alone:
    # all that the items refer to is of the evidence.
    items = content[0].ContentSequence
    content[0].ContentSequence = []
    ds = EnhancedSR(
        evidence=evidence,
        content=content,
        series_instance_uid=result.uid("sr/series"),
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name="Labels of CoDetect's models")],
        series_number=SERIES_NUMBER,
        series_description="CoDetect report",
        sop_instance_uid=result.uid("sr"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=result.bundle.name,
        software_versions=result.bundle.version,
        device_serial_number=result.bundle_sha256,
        content_date=result.date,
        content_time="000000",
        is_complete=True,
        is_final=True,
    )
    ds.ContentSequence = items
    return ds


def sources(result: Result, instances: Sequence[ManifestInstance]) -> list[Dataset]:
    """What documents need to know of images that they refer to."""
    manifest = result.manifest
    series = Dataset()
    series.SpecificCharacterSet = "ISO_IR 192"
    series.PatientID = manifest.patient_id
    series.PatientName = series.PatientBirthDate = series.PatientSex = series.ReferringPhysicianName = ""
    series.AccessionNumber = series.StudyID = series.StudyTime = ""
    series.StudyDate = manifest.study_date or ""
    series.StudyInstanceUID, series.SeriesInstanceUID = manifest.study_instance_uid, manifest.series_instance_uid
    return [_source(series, one) for one in instances]


def _source(series: Dataset, one: ManifestInstance) -> Dataset:
    ds = Dataset(dict(series.items()))  # elements are shared: making each anew takes a millisecond
    ds.SOPClassUID, ds.SOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
    return ds


def _observer(result: Result) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=uid_of(f"model/{result.bundle_sha256}"),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=f"{result.bundle.name} {result.bundle.version}",
    )
    return ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)


def _groups(
    result: Result, evidence: list[Dataset]
) -> list[PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations]:
    columns = range(len(result.bundle.labels))
    groups: list[PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations] = [
        _group(result, column, evidence) for column in columns
    ]
    groups += [_peak(result, column, evidence) for column in columns if result.explanation.findings[column].peak]
    return groups + _likeness(result)


def _group(result: Result, column: int, evidence: list[Dataset]) -> MeasurementsAndQualitativeEvaluations:
    """One label: probability, threshold, what follows from them, by which model, from which slices of which series."""
    label, finding = result.bundle.labels[column], result.explanation.findings[column]
    rows = scoring(result.explanation.probabilities[:, column], result.bundle.pooling)
    read = [evidence[n] for n in np.sort(result.maps.slices[rows]).tolist()]
    concept = _concept(result, column)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=result.uid(f"sr/{label.name}"), identifier=label.name),
        finding_type=concept,
        algorithm_id=_algorithm(result),
        measurements=[
            Measurement(codes.DCM.Probability, round(finding.probability, 6), codes.UCUM.NoUnits),
            Measurement(codes.DCM.ThresholdValue, finding.threshold, codes.UCUM.NoUnits),
        ],
        qualitative_evaluations=[QualitativeEvaluation(concept, _verdict(finding.positive))],
        source_images=[SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in read],
    )
    series = UIDRefContentItem(
        codes.DCM.SourceSeriesForImageProcessingOperation,
        result.manifest.series_instance_uid,
        RelationshipTypeValues.CONTAINS,
    )
    group[0].ContentSequence.append(series)
    return group


def _peak(result: Result, column: int, evidence: list[Dataset]) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Where the likeliest slice argues most for a label, and how likely that slice alone is."""
    label, peak = result.bundle.labels[column], result.explanation.findings[column].peak
    assert peak
    of, row = evidence[peak.slice], int(np.flatnonzero(result.maps.slices == peak.slice)[0])
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=result.uid(f"sr/{label.name}/peak"), identifier=f"{label.name}/peak"
        ),
        referenced_region=ImageRegion(
            GraphicTypeValues.POINT,
            np.array([[peak.column + 0.5, peak.row + 0.5]]),  # SCOORD counts from the first pixel's corner
            SourceImageForRegion(of.SOPClassUID, of.SOPInstanceUID),
        ),
        finding_type=_concept(result, column),
        method=codes.DCM.ClassActivation,
        algorithm_id=_algorithm(result),
        measurements=[
            Measurement(
                codes.DCM.Probability,
                round(float(result.explanation.probabilities[row, column]), 6),
                codes.UCUM.NoUnits,
            )
        ],
    )


def _likeness(result: Result) -> list[MeasurementsAndQualitativeEvaluations]:
    """How unlike the training data the study is; nothing of models that can't tell."""
    unlikeness = result.explanation.unlikeness
    if unlikeness is None:
        return []
    name = OUT_OF_DISTRIBUTION.value
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=result.uid(f"sr/{name}"), identifier=name),
        finding_type=OUT_OF_DISTRIBUTION,
        algorithm_id=_algorithm(result),
        measurements=[
            Measurement(UNLIKENESS, round(unlikeness, 6), codes.UCUM.NoUnits),
            Measurement(codes.DCM.ThresholdValue, UNLIKE_FROM, codes.UCUM.NoUnits),
        ],
        qualitative_evaluations=[QualitativeEvaluation(OUT_OF_DISTRIBUTION, _verdict(unlikeness >= UNLIKE_FROM))],
    )
    return [group]


def _algorithm(result: Result) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=result.bundle.name,
        version=result.bundle.version,
        manufacturer=MANUFACTURER,
        parameters=_parameters(result),
    )


def _concept(result: Result, column: int) -> CodedConcept:
    label = result.bundle.labels[column]
    return CodedConcept(label.name, SCHEME, meaning(label.title))


def _parameters(result: Result) -> list[str]:
    """What pins the algorithm down: the bundle's hash, what a slice is made into, and what ran it."""
    how = result.bundle.preprocessing
    return [
        f"sha256={result.bundle_sha256}",
        f"preprocessing={how.side} x {how.side}, level {how.level_hu:g} HU, width {how.width_hu:g} HU",
        f"provider={result.provider}",
    ]


def meaning(title: str) -> str:
    """As much of a title as a coded meaning may hold."""
    return title.replace("\\", "/").encode()[:LONGEST_MEANING].decode(errors="ignore")


def _verdict(positive: bool) -> CodedConcept:
    return CodedConcept.from_code(codes.SCT.Positive if positive else codes.SCT.Negative)
