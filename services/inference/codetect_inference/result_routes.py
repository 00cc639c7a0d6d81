"""HTTP: a result as documents that leave the house: DICOM, PDF, FHIR."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared.problems import Problem, responses
from codetect_shared.tokens import CurrentPrincipal
from fastapi import APIRouter, Depends, Request, Response

from codetect_inference import failures, papers, pictures
from codetect_inference.routes import StorageDep, database

results = APIRouter(prefix="/api/v1/analyses", tags=["analyses"])


def given(media_type: str, what: str, *problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The answers of a route that gives a file."""
    file: dict[int | str, dict[str, Any]] = {200: {"content": {media_type: {}}, "description": what}}
    return file | responses(failures.AnalysisNotFound, failures.ReportNotFound, *problems)


async def reported(request: Request, who: CurrentPrincipal, analysis_id: UUID) -> pictures.Subject:
    """The analysis whose result is asked for."""
    return await pictures.subject(database(request), who, analysis_id, "result.read", missing=failures.ReportNotFound)


async def pictured(request: Request, who: CurrentPrincipal, analysis_id: UUID) -> pictures.Subject:
    """The analysis whose result is asked for with pictures of the patient's."""
    looks = "result.read", "image.read"
    return await pictures.subject(database(request), who, analysis_id, *looks, missing=failures.ReportNotFound)


ReportedDep = Annotated[pictures.Subject, Depends(reported)]
PicturedDep = Annotated[pictures.Subject, Depends(pictured)]


@results.get(
    "/{analysis_id}/report.dcm",
    summary="Get an analysis's report as DICOM",
    response_class=Response,
    responses=given("application/dicom", "A DICOM file."),
)
async def get_report(of: ReportedDep, storage: StorageDep) -> Response:
    """The result as DICOM: a structured report (TID 1500) under the study's pseudonymous UIDs."""
    return Response(await papers.structured_report(storage, of.analysis), media_type="application/dicom")


@results.get(
    "/{analysis_id}/documents/{n}",
    summary="Get one of an analysis's DICOM documents",
    response_class=Response,
    responses=given("application/dicom", "A DICOM file."),
)
async def get_document(of: PicturedDep, storage: StorageDep, n: int) -> Response:
    """One of `documents`, from 0: the structured report, pictures of the top slices, heatmaps as parametric maps."""
    return Response(await papers.document(storage, of.analysis, n), media_type="application/dicom")


@results.get(
    "/{analysis_id}/report.pdf",
    summary="Get an analysis's report as PDF",
    response_class=Response,
    responses=given("application/pdf", "A PDF.", failures.SliceNotFound, failures.HeatmapNotFound),
)
async def get_pdf(of: PicturedDep, storage: StorageDep) -> Response:
    """The result for people, on two pages: findings, warnings, top slices with what argues, what the model is not."""
    named = {"Content-Disposition": f'inline; filename="codetect-{of.analysis.id}.pdf"'}
    return Response(await papers.pdf(storage, of), media_type="application/pdf", headers=named)


@results.get(
    "/{analysis_id}/report.fhir.json",
    summary="Get an analysis's report as FHIR",
    response_class=Response,
    responses=given("application/fhir+json", "A FHIR R4 DiagnosticReport.", failures.SliceNotFound),
)
async def get_fhir(of: ReportedDep, storage: StorageDep) -> Response:
    """The result as a FHIR R4 DiagnosticReport, its Observations and the model's Device contained; `preliminary`."""
    return Response(await papers.fhir(storage, of), media_type="application/fhir+json")
