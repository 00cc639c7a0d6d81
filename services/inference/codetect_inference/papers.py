"""A result's documents when somebody asks: those that the worker wrote, and those that are made from what is stored."""

import asyncio

from codetect_shared.storage import ObjectMissing, Storage

from codetect_inference import fhir as as_fhir
from codetect_inference.bundle import Bundle
from codetect_inference.failures import ReportNotFound
from codetect_inference.models import Analysis, Status
from codetect_inference.pictures import Subject, manifest_of, maps_of, slice_of
from codetect_inference.schemas import AnalysisOut

PICTURED = 4


async def structured_report(storage: Storage, of: Analysis) -> bytes:
    """The structured report, as the worker wrote it. Raises ReportNotFound."""
    return await _stored(storage, of, next((one["key"] for one in of.documents if one["kind"] == "sr"), None))


async def document(storage: Storage, of: Analysis, n: int) -> bytes:
    """One of the DICOM documents, as the worker wrote them. Raises ReportNotFound."""
    if of.documents and not 0 <= n < len(of.documents):
        raise ReportNotFound(f"The analysis has {len(of.documents)} documents, numbered from 0.")
    return await _stored(storage, of, of.documents[n]["key"] if of.documents else None)


async def fhir(storage: Storage, of: Subject) -> bytes:
    """The result as FHIR. Raises ReportNotFound, SliceNotFound."""
    bundle = _whole(of)
    manifest = await manifest_of(storage, of.series)
    return as_fhir.written(as_fhir.report(AnalysisOut.of(of.analysis), bundle, manifest))


async def pdf(storage: Storage, of: Subject) -> bytes:
    """The result as PDF, drawn now. Raises ReportNotFound, SliceNotFound, HeatmapNotFound."""
    bundle = _whole(of)
    manifest = await manifest_of(storage, of.series)
    maps = await maps_of(storage, str(of.analysis.maps_key))
    shown = of.analysis.top_slices[:PICTURED]
    hu = [await slice_of(storage, of.series, manifest, n) for n in shown]
    analysis = AnalysisOut.of(of.analysis)

    def draw() -> bytes:
        from codetect_inference.pdf import report  # fpdf2 takes a third of a second, for who asks only

        return report(analysis, bundle, manifest, maps, dict(zip(shown, hu, strict=True)))

    return await asyncio.to_thread(draw)


def _whole(of: Subject) -> Bundle:
    if of.analysis.status != Status.COMPLETED or of.bundle is None:
        raise ReportNotFound(f"The analysis is {of.analysis.status}: it has no report.")
    return of.bundle


async def _stored(storage: Storage, of: Analysis, key: str | None) -> bytes:
    if key is None:
        raise ReportNotFound(f"The analysis is {of.status}: it has no report.")
    try:
        return await storage.get("results", key)
    except ObjectMissing as error:
        raise ReportNotFound("The result's documents are no longer stored.") from error
