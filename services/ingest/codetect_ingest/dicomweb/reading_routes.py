"""QIDO-RS and WADO-RS over HTTP: searching, and retrieving what was found."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

from codetect_shared.db import SessionDep
from codetect_shared.problems import Forbidden, ServiceUnavailable, responses
from codetect_shared.tokens import CurrentPrincipal
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from codetect_ingest.dicomweb import negotiation, problems, qido, queries
from codetect_ingest.dicomweb.finding import Address, checked_uid
from codetect_ingest.dicomweb.multipart import Multipart
from codetect_ingest.dicomweb.narrowing import Level
from codetect_ingest.dicomweb.negotiation import DICOM, DICOM_JSON, DICOM_XML, JPEG, MULTIPART, OCTETS, PNG, Accepts
from codetect_ingest.dicomweb.problems import QueryInvalid
from codetect_ingest.dicomweb.rendering import rendering_of
from codetect_ingest.dicomweb.stow import base_of
from codetect_ingest.dicomweb.wado import Retrieval
from codetect_ingest.dicomweb.xml import to_xml
from codetect_ingest.routes import IngestDep

F = TypeVar("F", bound=Callable[..., Any])
MOST_FRAMES = 10_000
FRAME_LIST = re.compile(r"[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*")
STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"
BYTES = {"type": "string", "format": "binary"}
DATA_SETS = {"type": "array", "items": {"type": "object"}}
ACCEPT = {
    "name": "accept",
    "in": "query",
    "description": "Media types, in place of the header (PS3.18 8.3.3.1).",
    "schema": {"type": "string"},
}
SEARCH_PARAMETERS = [
    {"name": name, "in": "query", "description": text, "schema": {"type": kind}}
    for name, kind, text in (
        ("limit", "integer", "As many results at most."),
        ("offset", "integer", "Leave out as many results before."),
        ("includefield", "string", "Keyword, tag or `all`: what is to be told beside the usual. Can be repeated."),
        ("fuzzymatching", "boolean", "Names match if each word begins one of the name's."),
        ("PatientName", "string", "As every attribute of the level, by keyword or tag: what has to match."),
    )
]

WINDOW = ("window", "string", "center,width,function; the function is linear, linear-exact or sigmoid.")
VIEWPORT = ("viewport", "string", "width,height of the picture; left,top,width,height of the part that it shows.")
PICTURE_PARAMETERS, THUMBNAIL_PARAMETERS = (
    [{"name": name, "in": "query", "description": text, "schema": {"type": kind}} for name, kind, text in several]
    for several in ((WINDOW, VIEWPORT, ("quality", "integer", "Of a JPEG: 1 to 100.")), (VIEWPORT,))
)


def given(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI of an answer in one of these media types, and of what can be wrong."""
    wrong = responses(
        Forbidden,
        QueryInvalid,
        problems.NothingThere,
        problems.NotAcceptable,
        problems.ImageUnreadable,
        ServiceUnavailable,
    )
    content = {kind: {"schema": DATA_SETS if kind == DICOM_JSON else BYTES} for kind in media_types}
    return {**wrong, 200: {"description": "What was asked for.", "content": content}}


FOUND = {
    **responses(Forbidden, QueryInvalid, problems.NotAcceptable, problems.SearchTooBroad),
    200: {
        "description": "What was found.",
        "content": {DICOM_JSON: {"schema": DATA_SETS}, f'{MULTIPART}; type="{DICOM_XML}"': {"schema": BYTES}},
    },
    204: {"description": "Nothing was found, and XML has no word for that."},
}
FILES = given(f'{MULTIPART}; type="{DICOM}"', DICOM)
METADATA = given(DICOM_JSON, f'{MULTIPART}; type="{DICOM_XML}"')
PIXELS = given(f'{MULTIPART}; type="{OCTETS}"', OCTETS)
PICTURES = given(JPEG, PNG, f'{MULTIPART}; type="{JPEG}"')

dicomweb = APIRouter(prefix="/dicomweb", tags=["dicomweb"])


@dataclass(frozen=True)
class Searching:
    """A search: who asks, what is accepted, and the request's transaction."""

    request: Request
    session: SessionDep
    ingest: IngestDep
    who: CurrentPrincipal
    accepts: Accepts

    async def answer(self, level: Level, study: str | None = None, series: str | None = None) -> Response:
        """Search, and write the answer. Raises QueryInvalid, NotAcceptable, SearchTooBroad."""
        form = negotiation.choose_document(self.accepts)
        within = tuple(checked_uid(uid) if uid is not None else None for uid in (study, series))
        query, base = queries.parse(self.request.query_params), base_of(self.request)
        found = await qido.search(self.session, self.ingest, self.who, level, query, base, (within[0], within[1]))
        warnings = [f'299 {base} "{text}"' for text in found.warnings]
        headers = {"Warning": ", ".join(warnings)} if warnings else {}
        if form.media_type == DICOM_JSON:
            return Response(json.dumps(found.items, separators=(",", ":")), headers=headers, media_type=DICOM_JSON)
        if not found.items:
            return Response(status_code=204, headers=headers)
        multipart = Multipart(DICOM_XML)
        parts = [multipart.part(DICOM_XML, to_xml(item)) for item in found.items]
        return Response(b"".join([*parts, multipart.end]), headers=headers, media_type=multipart.content_type)


@dataclass(frozen=True)
class Retrieving:
    """A retrieval: its transaction ends before the first byte is read from the object store."""

    request: Request
    ingest: IngestDep
    who: CurrentPrincipal
    accepts: Accepts

    async def begin(self, what: str, *uids: str, one: bool = False) -> Retrieval:
        """Find what is at an address. Raises QueryInvalid, NothingThere."""
        return await Retrieval.begin(self.ingest, self.who, Address(*uids), what, one=one)

    async def files(self, *uids: str) -> Response:
        """Give DICOM files."""
        return await (await self.begin("instances", *uids)).files(self.accepts)

    async def metadata(self, *uids: str) -> Response:
        """Give data sets."""
        return await (await self.begin("metadata", *uids)).metadata(self.accepts, base_of(self.request))

    async def rendered(self, *uids: str, frames: str = "1") -> Response:
        """Give pictures of all that is there, or one where one is accepted."""
        how, numbers = rendering_of(self.request.query_params), frame_numbers(frames)
        several = any(one.multipart for one in self.accepts)
        found = await self.begin("rendered", *uids, one=not several)
        return await found.rendered(self.accepts, how, numbers)

    async def thumbnail(self, *uids: str, frames: str = "1") -> Response:
        """Give one small picture."""
        how, numbers = rendering_of(self.request.query_params, thumbnail=True), frame_numbers(frames)
        found = await self.begin("thumbnail", *uids, one=True)
        return await found.rendered([replace(one, multipart=False) for one in self.accepts], how, numbers)


Searched = Annotated[Searching, Depends()]
Retrieved = Annotated[Retrieving, Depends()]


def frame_numbers(text: str) -> list[int]:
    """Read a list of frames. Raises QueryInvalid."""
    if not FRAME_LIST.fullmatch(text) or text.count(",") >= MOST_FRAMES:
        raise QueryInvalid("Frames are whole numbers from 1 on, with commas between.")
    return [int(number) for number in text.split(",")]


def route(
    path: str, answers: dict[int | str, dict[str, Any]], parameters: Sequence[dict[str, Any]] = ()
) -> Callable[[F], F]:
    """A route whose parameters are read, and whose answer is written, by hand."""
    extra = {"parameters": [*parameters, ACCEPT]}
    return dicomweb.get(path, response_class=Response, responses=answers, openapi_extra=extra)


@route("/studies", FOUND, SEARCH_PARAMETERS)
async def search_studies(searching: Searched) -> Response:
    """Search for studies."""
    return await searching.answer(Level.STUDY)


@route("/series", FOUND, SEARCH_PARAMETERS)
async def search_series(searching: Searched) -> Response:
    """Search for series of all studies."""
    return await searching.answer(Level.SERIES)


@route("/instances", FOUND, SEARCH_PARAMETERS)
async def search_instances(searching: Searched) -> Response:
    """Search for instances of all studies."""
    return await searching.answer(Level.INSTANCE)


@route(f"{STUDY}/series", FOUND, SEARCH_PARAMETERS)
async def search_series_of_study(searching: Searched, study: str) -> Response:
    """Search for a study's series."""
    return await searching.answer(Level.SERIES, study)


@route(f"{STUDY}/instances", FOUND, SEARCH_PARAMETERS)
async def search_instances_of_study(searching: Searched, study: str) -> Response:
    """Search for a study's instances."""
    return await searching.answer(Level.INSTANCE, study)


@route(f"{SERIES}/instances", FOUND, SEARCH_PARAMETERS)
async def search_instances_of_series(searching: Searched, study: str, series: str) -> Response:
    """Search for a series' instances."""
    return await searching.answer(Level.INSTANCE, study, series)


@route(STUDY, FILES)
async def retrieve_study(retrieving: Retrieved, study: str) -> Response:
    """A study's DICOM files."""
    return await retrieving.files(study)


@route(SERIES, FILES)
async def retrieve_series(retrieving: Retrieved, study: str, series: str) -> Response:
    """A series' DICOM files."""
    return await retrieving.files(study, series)


@route(INSTANCE, FILES)
async def retrieve_instance(retrieving: Retrieved, study: str, series: str, instance: str) -> Response:
    """An instance's DICOM file."""
    return await retrieving.files(study, series, instance)


@route(f"{STUDY}/metadata", METADATA)
async def retrieve_study_metadata(retrieving: Retrieved, study: str) -> Response:
    """A study's data sets without what is large."""
    return await retrieving.metadata(study)


@route(f"{SERIES}/metadata", METADATA)
async def retrieve_series_metadata(retrieving: Retrieved, study: str, series: str) -> Response:
    """A series' data sets without what is large."""
    return await retrieving.metadata(study, series)


@route(f"{INSTANCE}/metadata", METADATA)
async def retrieve_instance_metadata(retrieving: Retrieved, study: str, series: str, instance: str) -> Response:
    """An instance's data set without what is large."""
    return await retrieving.metadata(study, series, instance)


@route(f"{INSTANCE}/frames/{{frames}}", PIXELS)
async def retrieve_frames(retrieving: Retrieved, study: str, series: str, instance: str, frames: str) -> Response:
    """Frames, as they are stored or decoded."""
    numbers = frame_numbers(frames)
    found = await retrieving.begin("frames", study, series, instance)
    return await found.frames(numbers, retrieving.accepts)


@route(f"{INSTANCE}/bulkdata/{{tag:path}}", PIXELS)
async def retrieve_bulkdata(retrieving: Retrieved, study: str, series: str, instance: str, tag: str) -> Response:
    """The image's data, or another large value, by the address that the metadata gives."""
    found = await retrieving.begin("bulkdata", study, series, instance)
    return await found.bulkdata(tag, retrieving.accepts)


@route(f"{STUDY}/rendered", PICTURES, PICTURE_PARAMETERS)
async def render_study(retrieving: Retrieved, study: str) -> Response:
    """Pictures of a study's images, or of one in the middle."""
    return await retrieving.rendered(study)


@route(f"{SERIES}/rendered", PICTURES, PICTURE_PARAMETERS)
async def render_series(retrieving: Retrieved, study: str, series: str) -> Response:
    """Pictures of a series' images, or of the one in the middle."""
    return await retrieving.rendered(study, series)


@route(f"{INSTANCE}/rendered", PICTURES, PICTURE_PARAMETERS)
async def render_instance(retrieving: Retrieved, study: str, series: str, instance: str) -> Response:
    """A picture of an image."""
    return await retrieving.rendered(study, series, instance)


@route(f"{INSTANCE}/frames/{{frames}}/rendered", PICTURES, PICTURE_PARAMETERS)
async def render_frames(retrieving: Retrieved, study: str, series: str, instance: str, frames: str) -> Response:
    """Pictures of frames."""
    return await retrieving.rendered(study, series, instance, frames=frames)


@route(f"{STUDY}/thumbnail", PICTURES, THUMBNAIL_PARAMETERS)
async def show_study_thumbnail(retrieving: Retrieved, study: str) -> Response:
    """A small picture of a study."""
    return await retrieving.thumbnail(study)


@route(f"{SERIES}/thumbnail", PICTURES, THUMBNAIL_PARAMETERS)
async def show_series_thumbnail(retrieving: Retrieved, study: str, series: str) -> Response:
    """A small picture of a series."""
    return await retrieving.thumbnail(study, series)


@route(f"{INSTANCE}/thumbnail", PICTURES, THUMBNAIL_PARAMETERS)
async def show_instance_thumbnail(retrieving: Retrieved, study: str, series: str, instance: str) -> Response:
    """A small picture of an image."""
    return await retrieving.thumbnail(study, series, instance)


@route(f"{INSTANCE}/frames/{{frames}}/thumbnail", PICTURES, THUMBNAIL_PARAMETERS)
async def show_frame_thumbnail(retrieving: Retrieved, study: str, series: str, instance: str, frames: str) -> Response:
    """A small picture of a frame."""
    return await retrieving.thumbnail(study, series, instance, frames=frames)
