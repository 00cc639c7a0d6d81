"""A result as DICOM: report, a few pictures and heatmaps, under the pseudonyms of the study that was read.

Imported by who writes documents only: highdicom takes a second and 40 MB.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from codetect_shared.events import ResultDocument
from pydicom.dataset import Dataset
from pydicom.uid import UID

from codetect_inference.capture import pictures
from codetect_inference.encoding import as_file
from codetect_inference.mapping import mapping
from codetect_inference.report import report
from codetect_inference.result import Result

IMPLEMENTATION_CLASS_UID = "2.25.302043790172249692526321623266752743501"  # ingest's: one product
# fmt: off
TODAYS = (
    "InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture", "TimeOfSecondaryCapture",
    "ContributionDateTime",
)
# fmt: on


@dataclass(frozen=True)
class Document:
    """A file, and what is told of it."""

    facts: ResultDocument
    content: bytes


def documents(result: Result, parametric_maps: bool = True) -> Iterator[Document]:
    """The report, the pictures, then the heatmaps, one in memory at a time; the same result makes the same bytes."""
    yield _document(result, "sr", "report.dcm", report(result))
    for n, picture in enumerate(pictures(result), 1):
        yield _document(result, "sc", f"slice-{n}.dcm", picture)
    heatmaps = mapping(result) if parametric_maps else iter(())
    for n, one in enumerate(heatmaps, 1):
        yield _document(result, "pm", f"heatmap-{n}.dcm", one)


def _document(result: Result, kind: Literal["sr", "sc", "pm"], name: str, ds: Dataset) -> Document:
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "CoDetect: made from a de-identified study"
    ds.LongitudinalTemporalInformationModified = "MODIFIED"
    for part in (ds, *ds.ContributingEquipmentSequence):
        for keyword in TODAYS:
            if keyword in part:
                delattr(part, keyword)
    ds.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    ds.file_meta.ImplementationVersionName = "CODETECT"
    content = as_file(ds)
    facts = ResultDocument(
        kind=kind,
        key=result.prefix + name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        sop_class_uid=ds.SOPClassUID,
        sop_instance_uid=ds.SOPInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        series_number=ds.SeriesNumber,
        instance_number=ds.InstanceNumber,
        modality=ds.Modality,
    )
    return Document(facts, content)
