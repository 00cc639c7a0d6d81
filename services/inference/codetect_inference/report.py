"""The structured report of a result: TID 1500 (PS3.16), one group of measurements a label (docs/adr/0056)."""

import numpy as np
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    DeviceObserverIdentifyingAttributes,
    EnhancedSR,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from codetect_inference.explain import DISCLAIMER, Finding, scoring
from codetect_inference.manifest import ManifestInstance
from codetect_inference.result import MANUFACTURER, Result, uid_of

SERIES_NUMBER = 90001
SCHEME = "99CODETECT"
LONGEST_MEANING = 64  # characters, says the standard; verifiers count bytes
ENGLISH = CodedConcept("en", "RFC5646", "English")
CT_OF_CHEST = CodedConcept("169069000", "SCT", "CT of chest")


def report(result: Result) -> Dataset:
    """The result as an Enhanced SR document; final, and verified by nobody."""
    evidence = [_source(result, one) for one in result.manifest.instances]
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=_observer(result)),
        procedure_reported=CT_OF_CHEST,
        imaging_measurements=[_group(result, column, evidence) for column in range(len(result.bundle.labels))],
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(ENGLISH),
    )
    remarks = [DISCLAIMER, *(one.detail for one in result.explanation.warnings)]
    content[0].ContentSequence.extend(
        TextContentItem(codes.DCM.Comment, remark, RelationshipTypeValues.CONTAINS) for remark in remarks
    )
    return EnhancedSR(
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


def _source(result: Result, one: ManifestInstance) -> Dataset:
    """What a report needs to know of an image that it refers to."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientID = result.manifest.patient_id
    ds.PatientName = ds.PatientBirthDate = ds.PatientSex = ds.ReferringPhysicianName = ""
    ds.AccessionNumber = ds.StudyID = ds.StudyTime = ""
    ds.StudyDate = result.manifest.study_date or ""
    ds.StudyInstanceUID = result.manifest.study_instance_uid
    ds.SeriesInstanceUID = result.manifest.series_instance_uid
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


def _group(result: Result, column: int, evidence: list[Dataset]) -> MeasurementsAndQualitativeEvaluations:
    """One label: probability, threshold, what follows from them, by which model, from which slices of which series."""
    label, finding = result.bundle.labels[column], result.explanation.findings[column]
    concept = CodedConcept(label.name, SCHEME, _meaning(label.title))
    rows = scoring(result.explanation.probabilities[:, column], result.bundle.pooling)
    read = [evidence[n] for n in np.sort(result.maps.slices[rows]).tolist()]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=result.uid(f"sr/{label.name}"), identifier=label.name),
        finding_type=concept,
        algorithm_id=AlgorithmIdentification(
            name=result.bundle.name,
            version=result.bundle.version,
            manufacturer=MANUFACTURER,
            parameters=_parameters(result),
        ),
        measurements=[
            Measurement(codes.DCM.Probability, round(finding.probability, 6), codes.UCUM.NoUnits),
            Measurement(codes.DCM.ThresholdValue, finding.threshold, codes.UCUM.NoUnits),
        ],
        qualitative_evaluations=[QualitativeEvaluation(concept, _verdict(finding))],
        source_images=[SourceImageForMeasurementGroup(one.SOPClassUID, one.SOPInstanceUID) for one in read],
    )
    series = UIDRefContentItem(
        codes.DCM.SourceSeriesForImageProcessingOperation,
        result.manifest.series_instance_uid,
        RelationshipTypeValues.CONTAINS,
    )
    group[0].ContentSequence.append(series)
    return group


def _parameters(result: Result) -> list[str]:
    """What pins the algorithm down: the bundle's hash, what a slice is made into, and what ran it."""
    how = result.bundle.preprocessing
    return [
        f"sha256={result.bundle_sha256}",
        f"preprocessing={how.side} x {how.side}, level {how.level_hu:g} HU, width {how.width_hu:g} HU",
        f"provider={result.provider}",
    ]


def _meaning(title: str) -> str:
    return title.replace("\\", "/").encode()[:LONGEST_MEANING].decode(errors="ignore")


def _verdict(finding: Finding) -> CodedConcept:
    return CodedConcept.from_code(codes.SCT.Positive if finding.positive else codes.SCT.Negative)
