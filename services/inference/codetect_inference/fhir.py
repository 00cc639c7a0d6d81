"""A result as a FHIR R4 DiagnosticReport: Observations and Device contained, pseudonyms only (docs/adr/0093).

No date of the study's: it is moved, and beside the real date of the analysis it would tell by how much.
"""

import json
from html import escape
from typing import Any

from codetect_inference.bundle import Bundle
from codetect_inference.manifest import Manifest
from codetect_inference.result import MANUFACTURER
from codetect_inference.schemas import AnalysisOut, FindingOut, OutOfDistribution
from codetect_inference.wording import found, unlike

Resource = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem/"
LABELS = "urn:codetect:label"
MEASURES = "urn:codetect:measure"
UCUM = "http://unitsofmeasure.org"
CATEGORY = [{"coding": [{"system": f"{HL7}observation-category", "code": "imaging", "display": "Imaging"}]}]
RADIOLOGY = [{"coding": [{"system": f"{HL7}v2-0074", "code": "RAD", "display": "Radiology"}]}]
CT_OF_CHEST = {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]}
POSITIVE = {"code": "POS", "display": "Positive"}
NEGATIVE = {"code": "NEG", "display": "Negative"}


def report(analysis: AnalysisOut, bundle: Bundle, manifest: Manifest) -> Resource:
    """The report; `preliminary`, since nobody has verified it."""
    titles = {label.name: label.title for label in bundle.labels}
    common = _common(analysis, manifest)
    observations = [_finding(one, titles[one.label], common) for one in analysis.findings]
    if analysis.out_of_distribution:
        observations.append(_likeness(analysis.out_of_distribution, common))
    sentences = [found(one, titles[one.label]) for one in analysis.findings]
    sentences += [unlike(analysis.out_of_distribution)] if analysis.out_of_distribution else []
    sentences += [one.detail for one in analysis.warnings]
    return {
        "resourceType": "DiagnosticReport",
        "id": str(analysis.id),
        "text": _narrative([*sentences, analysis.disclaimer]),
        "contained": [_device(analysis, bundle), *observations],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{analysis.id}"}],
        "status": "preliminary",
        "category": RADIOLOGY,
        "code": CT_OF_CHEST,
        **({"subject": common["subject"]} if "subject" in common else {}),
        "issued": common["issued"],
        "result": [{"reference": f"#{one['id']}"} for one in observations],
        "imagingStudy": [
            {
                "type": "ImagingStudy",
                "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{manifest.study_instance_uid}"},
            }
        ],
        "conclusion": " ".join([*sentences, analysis.disclaimer]),
    }


def written(report: Resource) -> bytes:
    """As JSON."""
    return json.dumps(report, ensure_ascii=False, indent=2).encode()


def _common(analysis: AnalysisOut, manifest: Manifest) -> Resource:
    """What the report and its Observations say alike."""
    assert analysis.finished_at
    said: Resource = {"status": "preliminary", "issued": analysis.finished_at.isoformat(timespec="milliseconds")}
    if manifest.patient_id:
        patient = {"system": "urn:codetect:patient", "value": manifest.patient_id}
        said["subject"] = {"type": "Patient", "identifier": patient}
    return said


def _device(analysis: AnalysisOut, bundle: Bundle) -> Resource:
    return {
        "resourceType": "Device",
        "id": "model",
        "identifier": [{"system": "urn:codetect:model:sha256", "value": analysis.model.sha256}],
        "manufacturer": MANUFACTURER,
        "deviceName": [
            {"name": bundle.name, "type": "model-name"},
            {"name": bundle.title, "type": "user-friendly-name"},
        ],
        "version": [{"value": bundle.version}],
        "note": [{"text": bundle.intended_use}, *({"text": limit} for limit in bundle.limits)],
    }


def _finding(one: FindingOut, title: str, common: Resource) -> Resource:
    """One label: the calibrated probability, read against the model's threshold."""
    observation = {
        **_observation(f"finding-{_id(one.label)}", LABELS, one.label, title, common),
        "valueQuantity": _number(one.probability),
        "interpretation": _interpretation(one.positive),
        "referenceRange": [{"high": _number(one.threshold), "text": "Below the model's threshold."}],
    }
    if one.peak:
        places: list[Resource] = [
            {"code": _measure("peak-slice", "Slice of the peak, from 0"), "valueInteger": one.peak.slice},
            {"code": _measure("peak-column", "Column of the peak, from 0"), "valueInteger": one.peak.column},
            {"code": _measure("peak-row", "Row of the peak, from 0"), "valueInteger": one.peak.row},
        ]
        for axis, value in zip("xyz", one.peak.position_mm or (), strict=False):
            quantity = {"value": value, "unit": "mm", "system": UCUM, "code": "mm"}
            places.append({"code": _measure(f"peak-{axis}", f"{axis} of the peak (LPS)"), "valueQuantity": quantity})
        observation["component"] = places
    return observation


def _likeness(one: OutOfDistribution, common: Resource) -> Resource:
    """How unlike the training data the study is."""
    title = "Unlikeness to the training data, as a multiple of what the model's maker allows"
    return {
        **_observation("out-of-distribution", MEASURES, "out-of-distribution", title, common),
        "valueQuantity": _number(one.score),
        "interpretation": _interpretation(one.flagged),
        "referenceRange": [{"high": _number(1), "text": "Like the training data."}],
    }


def _observation(name: str, system: str, code: str, title: str, common: Resource) -> Resource:
    return {
        "resourceType": "Observation",
        "id": name,
        **common,
        "category": CATEGORY,
        "code": {"coding": [{"system": system, "code": code, "display": title}], "text": title},
        "device": {"reference": "#model"},
    }


def _measure(code: str, title: str) -> Resource:
    return {"coding": [{"system": MEASURES, "code": code, "display": title}], "text": title}


def _number(value: float) -> Resource:
    return {"value": round(value, 6), "system": UCUM, "code": "1"}


def _interpretation(positive: bool) -> list[Resource]:
    coding = {"system": f"{HL7}v3-ObservationInterpretation"} | (POSITIVE if positive else NEGATIVE)
    return [{"coding": [coding]}]


def _id(label: str) -> str:
    """A label as part of an id, which knows no underscores."""
    return label.replace("_", "-")


def _narrative(sentences: list[str]) -> Resource:
    said = "".join(f"<p>{escape(one)}</p>" for one in sentences)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{said}</div>'}
