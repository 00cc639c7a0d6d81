"""STOW-RS over HTTP."""

from typing import Any

from codetect_shared.problems import Forbidden, ServiceUnavailable, responses
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from codetect_ingest.dicomweb import stow
from codetect_ingest.dicomweb.parts import BodyMalformed, MediaTypeUnsupported
from codetect_ingest.dicomweb.problems import QueryInvalid
from codetect_ingest.routes import QUOTA, IngestDep, Submitter

DICOM_JSON = "application/dicom+json"
PROBLEMS = responses(
    Forbidden,
    MediaTypeUnsupported,
    BodyMalformed,
    stow.NothingStored,
    stow.TooManyInstances,
    QueryInvalid,
    ServiceUnavailable,
    *QUOTA,
)
OUTCOMES: dict[int | str, dict[str, Any]] = {
    200: {"description": "All instances are stored.", "content": {DICOM_JSON: {}}},
    202: {"description": "Some are stored; the answer names those that failed.", "content": {DICOM_JSON: {}}},
    409: {"description": "None is stored; the answer says why.", "content": {DICOM_JSON: {}}},
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


@router.post("/studies", openapi_extra=BODY, response_class=JSONResponse)
async def store_instances(request: Request, ingest: IngestDep, who: Submitter) -> JSONResponse:
    """Store instances (PS3.18 10.5); each has its outcome in the answer."""
    return _answer(await stow.store(request, ingest, who, None))


@router.post("/studies/{study}", openapi_extra=BODY, response_class=JSONResponse)
async def store_instances_of_study(request: Request, ingest: IngestDep, who: Submitter, study: str) -> JSONResponse:
    """Store instances of one study; those of another are refused."""
    return _answer(await stow.store(request, ingest, who, study))


def _answer(stored: stow.Stored) -> JSONResponse:
    """The link leads to codes and sentences, which the DICOM answer has no place for."""
    link = f'</api/v1/uploads/{stored.upload_id}>; rel="describedby"'
    return JSONResponse(stored.answer(), stored.status, {"Link": link}, media_type=DICOM_JSON)
