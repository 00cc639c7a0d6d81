"""HTTP: analyses, their slices and pictures. Models are in `model_routes.py`."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared import audit
from codetect_shared.db import Database, SessionDep
from codetect_shared.problems import Forbidden, responses
from codetect_shared.storage import Storage
from codetect_shared.tokens import CurrentPrincipal, Role, require
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from codetect_inference import bulk, failures, pictures, queries, service
from codetect_inference.schemas import (
    AnalysisChange,
    AnalysisOut,
    AnalysisPage,
    AnalysisRequest,
    BulkOut,
    BulkRequest,
    Facets,
    Filters,
    SliceList,
)

analyses = APIRouter(prefix="/api/v1/analyses", tags=["analyses"])

writer = require(Role.ADMIN, Role.MEMBER, Role.API_CLIENT)
IMMUTABLE = {"Cache-Control": "private, max-age=86400, immutable"}
Responses = dict[int | str, dict[str, Any]]
PNG: Responses = {200: {"content": {"image/png": {}}, "description": "A PNG."}}
PIXELS: Responses = {
    200: {"content": {"application/octet-stream": {}}, "description": "HU as int16, little endian, row by row."}
}
ANALYSIS_EXISTS: Responses = {200: {"model": AnalysisOut, "description": "It exists already."}}


def database(request: Request) -> Database:
    """For routes that read objects: no transaction may stay open meanwhile."""
    db: Database = request.app.state.db
    return db


def object_store(request: Request) -> Storage:
    """The object store."""
    storage: Storage = request.app.state.storage
    return storage


StorageDep = Annotated[Storage, Depends(object_store)]


async def shown(request: Request, who: CurrentPrincipal, analysis_id: UUID) -> pictures.Subject:
    """The analysis whose images are asked for."""
    return await pictures.subject(database(request), who, analysis_id, "image.read")


async def explained(request: Request, who: CurrentPrincipal, analysis_id: UUID) -> pictures.Subject:
    """The analysis whose result is asked for, slice by slice."""
    return await pictures.subject(database(request), who, analysis_id, "result.read")


OnSlice = Annotated[bool, Query(description="Laid over the slice, which then shows through; else transparent.")]


async def heated(
    request: Request, who: CurrentPrincipal, analysis_id: UUID, on_slice: OnSlice = False
) -> pictures.Subject:
    """The analysis whose heatmap is asked for, and its image where that is to be seen, too."""
    looks = ("result.read", "image.read") if on_slice else ("result.read",)
    return await pictures.subject(database(request), who, analysis_id, *looks)


ImagesDep = Annotated[pictures.Subject, Depends(shown)]
ResultDep = Annotated[pictures.Subject, Depends(explained)]
HeatDep = Annotated[pictures.Subject, Depends(heated)]
Encodings = Annotated[str, Header(alias="Accept-Encoding", include_in_schema=False)]
Level = Annotated[float, Query(ge=-2000, le=4000, description="Window level in HU.")]
Width = Annotated[float, Query(ge=1, le=8000, description="Window width in HU.")]


@analyses.get("", summary="List analyses", responses=responses(failures.CursorInvalid))
async def list_analyses(
    session: SessionDep, who: CurrentPrincipal, filters: Annotated[Filters, Query()]
) -> AnalysisPage:
    """The facility's analyses, newest first, page by page; superseded ones are listed and say so."""
    rows, following = await queries.page(session, UUID(who.subject), filters)
    await audit.record_once(session, who, "analysis.search")
    return AnalysisPage(items=[AnalysisOut.of(row) for row in rows], next=following)


@analyses.post(
    "",
    summary="Ask for an analysis",
    status_code=201,
    dependencies=[writer],
    responses=ANALYSIS_EXISTS | responses(Forbidden, failures.StudyNotFound, failures.ModelNotFound),
)
async def create_analysis(
    session: SessionDep, principal: CurrentPrincipal, body: AnalysisRequest, response: Response
) -> AnalysisOut:
    """One model's reading of a study's newest version; asked for twice, it is the same analysis."""
    row, is_new = await service.ask(session, principal, body.study_id, body.model)
    response.status_code = 201 if is_new else 200
    return AnalysisOut.of(row)


@analyses.get("/facets", summary="List what analyses can be filtered by")
async def list_facets(session: SessionDep, who: CurrentPrincipal) -> Facets:
    """The facility's tags, folders and positive findings, with how many analyses have each."""
    found = await queries.facets(session)
    await audit.record_once(session, who, "analysis.search")
    return found


@analyses.post(
    "/bulk", summary="Do one thing with several analyses", dependencies=[writer], responses=responses(Forbidden)
)
async def change_analyses(session: SessionDep, who: CurrentPrincipal, body: BulkRequest) -> BulkOut:
    """Organise, cancel or run again up to 200; those that can't be say why, the others are done."""
    return await bulk.do(session, who, body)


@analyses.get("/{analysis_id}", summary="Get an analysis", responses=responses(failures.AnalysisNotFound))
async def get_analysis(session: SessionDep, who: CurrentPrincipal, analysis_id: UUID) -> AnalysisOut:
    """Its state, and its result once there is one."""
    row = await queries.analysis(session, analysis_id)
    await audit.record_once(session, who, "analysis.read", study_id=row.study_id, target=f"analysis/{row.id}")
    return AnalysisOut.of(row)


@analyses.patch(
    "/{analysis_id}",
    summary="Organise an analysis",
    dependencies=[writer],
    responses=responses(Forbidden, failures.AnalysisNotFound),
)
async def change_analysis(
    session: SessionDep, who: CurrentPrincipal, analysis_id: UUID, body: AnalysisChange
) -> AnalysisOut:
    """Set its tags, its folder and its priority."""
    return AnalysisOut.of(await service.organise(session, who, analysis_id, body))


@analyses.delete(
    "/{analysis_id}",
    summary="Delete an analysis",
    status_code=204,
    dependencies=[writer],
    responses=responses(Forbidden, failures.AnalysisNotFound),
)
async def delete_analysis(session: SessionDep, who: CurrentPrincipal, analysis_id: UUID) -> None:
    """It goes with its result; the study stays."""
    await service.remove(session, who, analysis_id)


@analyses.post(
    "/{analysis_id}/rerun",
    summary="Run an analysis again",
    status_code=202,
    dependencies=[writer],
    responses=responses(Forbidden, failures.AnalysisNotFound, failures.WrongState),
)
async def rerun_analysis(session: SessionDep, who: CurrentPrincipal, analysis_id: UUID) -> AnalysisOut:
    """Queue one that failed or was cancelled."""
    return AnalysisOut.of(await service.rerun(session, who, analysis_id))


@analyses.post(
    "/{analysis_id}/cancel",
    summary="Cancel an analysis",
    dependencies=[writer],
    responses=responses(Forbidden, failures.AnalysisNotFound, failures.WrongState),
)
async def cancel_analysis(session: SessionDep, who: CurrentPrincipal, analysis_id: UUID) -> AnalysisOut:
    """Stop one that waits or runs."""
    return AnalysisOut.of(await service.cancel(session, who, analysis_id))


@analyses.get(
    "/{analysis_id}/slices",
    summary="List an analysis's slices",
    responses=responses(failures.AnalysisNotFound, failures.SliceNotFound),
)
async def list_slices(of: ResultDep, storage: StorageDep) -> SliceList:
    """Every slice of the series that was chosen, with the model's probabilities."""
    return await pictures.slices(storage, of)


@analyses.get(
    "/{analysis_id}/slices/{n}/image.png",
    summary="Draw a slice",
    response_class=Response,
    responses=PNG | responses(failures.AnalysisNotFound, failures.SliceNotFound),
)
async def draw_image(
    of: ImagesDep,
    storage: StorageDep,
    n: int,
    level: Level = -600,
    width: Width = 1500,
) -> Response:
    """The slice as the scanner made it, through a window (a lung window unless asked otherwise)."""
    return Response(await pictures.image(storage, of, n, level, width), media_type="image/png", headers=IMMUTABLE)


@analyses.get(
    "/{analysis_id}/slices/{n}/pixels",
    summary="Get a slice's values",
    response_class=Response,
    responses=PIXELS | responses(failures.AnalysisNotFound, failures.SliceNotFound),
)
async def get_pixels(of: ImagesDep, storage: StorageDep, n: int, accept_encoding: Encodings = "") -> Response:
    """The slice in HU for viewers that choose the window themselves: `rows` x `columns` of the slice list."""
    zipped = pictures.takes_gzip(accept_encoding)
    headers = IMMUTABLE | {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if zipped else {})
    content = await pictures.pixels(storage, of, n, zipped=zipped)
    return Response(content, media_type="application/octet-stream", headers=headers)


@analyses.get(
    "/{analysis_id}/slices/{n}/heatmap.png",
    summary="Draw a slice's heatmap",
    response_class=Response,
    responses=PNG | responses(failures.AnalysisNotFound, failures.SliceNotFound, failures.HeatmapNotFound),
)
async def draw_heatmap(
    of: HeatDep,
    storage: StorageDep,
    n: int,
    label: Annotated[
        str | None, Query(max_length=40, description="A label of the model; the first unless named.")
    ] = None,
    on_slice: OnSlice = False,
    level: Level = -600,
    width: Width = 1500,
) -> Response:
    """What on this slice argues for a finding: an overlay of the image's size, or laid over it through a window."""
    if on_slice:
        content = await pictures.heatmap_on_slice(storage, of, n, label, level, width)
    else:
        content = await pictures.heatmap(storage, of, n, label)
    return Response(content, media_type="image/png", headers=IMMUTABLE)
