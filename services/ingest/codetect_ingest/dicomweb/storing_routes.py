"""STOW-RS over HTTP."""

import json
from typing import Any

from codetect_shared.problems import Forbidden, ServiceUnavailable, responses
from fastapi import APIRouter, Request
from fastapi.responses import Response

from codetect_ingest.dicomweb import stow
from codetect_ingest.dicomweb.negotiation import DICOM_JSON, DICOM_XML, Accepts, Form, choose_outcome
from codetect_ingest.dicomweb.parts import BodyMalformed, MediaTypeUnsupported
from codetect_ingest.dicomweb.problems import NotAcceptable, QueryInvalid
from codetect_ingest.dicomweb.xml import to_xml
from codetect_ingest.routes import QUOTA, IngestDep, Submitter

PROBLEMS = responses(
    Forbidden,
    MediaTypeUnsupported,
    BodyMalformed,
    stow.NothingStored,
    stow.TooManyInstances,
    QueryInvalid,
    NotAcceptable,
    ServiceUnavailable,
    *QUOTA,
)
OUTCOMES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {DICOM_JSON: {}, DICOM_XML: {}}}
    for status, text in (
        (200, "All instances are stored."),
        (202, "Some are stored; the answer names those that failed."),
        (409, "None is stored; the answer says why."),
    )
}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}},
            "application/dicom": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

router = APIRouter(prefix="/dicomweb", tags=["dicomweb"], responses={**PROBLEMS, **OUTCOMES})


@router.post("/studies", openapi_extra=BODY, response_class=Response)
async def store_instances(request: Request, ingest: IngestDep, who: Submitter, accepts: Accepts) -> Response:
    """Store instances (PS3.18 10.5); each has its outcome in the answer. What isn't acceptable stores nothing."""
    form = choose_outcome(accepts)
    return _answer(await stow.store(request, ingest, who, None), form)


@router.post("/studies/{study}", openapi_extra=BODY, response_class=Response)
async def store_instances_of_study(
    request: Request, ingest: IngestDep, who: Submitter, accepts: Accepts, study: str
) -> Response:
    """Store instances of one study; those of another are refused."""
    form = choose_outcome(accepts)
    return _answer(await stow.store(request, ingest, who, study), form)


def _answer(stored: stow.Stored, form: Form) -> Response:
    """The link leads to codes and sentences, which the DICOM answer has no place for."""
    link = f'</api/v1/uploads/{stored.upload_id}>; rel="describedby"'
    module = stored.answer()
    body = to_xml(module) if form.media_type == DICOM_XML else json.dumps(module, separators=(",", ":")).encode()
    return Response(body, stored.status, {"Link": link}, media_type=form.media_type)
