"""What a client accepts, and what it gets of what there is (PS3.18 8.7)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from pydicom import uid
from starlette.requests import Request

from codetect_ingest.dicomweb.problems import NotAcceptable, QueryInvalid

DICOM, DICOM_JSON, DICOM_XML = "application/dicom", "application/dicom+json", "application/dicom+xml"
JSON, OCTETS, MULTIPART = "application/json", "application/octet-stream", "multipart/related"
JPEG, PNG = "image/jpeg", "image/png"
EXPLICIT: str = uid.ExplicitVRLittleEndian
IMAGE_TYPES = {
    str(uid.RLELossless): "image/dicom-rle",
    str(uid.JPEGBaseline8Bit): "image/jpeg",
    str(uid.JPEGExtended12Bit): "image/jpeg",
    str(uid.JPEGLossless): "image/jpeg",
    str(uid.JPEGLosslessSV1): "image/jpeg",
    str(uid.JPEGLSLossless): "image/jls",
    str(uid.JPEGLSNearLossless): "image/jls",
    str(uid.JPEG2000Lossless): "image/jp2",
    str(uid.JPEG2000): "image/jp2",
    str(uid.HTJ2KLossless): "image/jphc",
    str(uid.HTJ2KLosslessRPCL): "image/jphc",
    str(uid.HTJ2K): "image/jphc",
}  # PS3.18 Table 8.7.3-5
COMMA, SEMICOLON = (re.compile(rf'{mark}(?=(?:[^"]*"[^"]*")*[^"]*$)') for mark in (",", ";"))
SUBTYPE = re.compile(r"(?<=/)dicom (?=json|xml)")  # in a query a plus sign is a blank
LONGEST = 4096


@dataclass(frozen=True)
class Accepted:
    """One entry of an Accept header; for multipart, the media type is that of the parts."""

    media_type: str
    multipart: bool
    transfer_syntax: str | None
    q: float

    def takes(self, media_type: str) -> bool:
        """Whether this media type will do."""
        kind = media_type.partition("/")[0]
        return self.media_type in (media_type, "*/*", f"{kind}/*")

    def takes_syntax(self, syntax: str) -> bool:
        """Whether this transfer syntax will do; one that isn't named may be any."""
        return self.transfer_syntax in (None, "*", syntax)


@dataclass(frozen=True)
class Form:
    """What an answer is given as: transfer syntaxes with how dear each is; None: each instance as it is stored."""

    media_type: str
    multipart: bool
    syntaxes: Mapping[str, float] | None = None

    def syntax_for(self, stored: str) -> str:
        """Return the transfer syntax that an instance is given in, of equals the stored one. Raises NotAcceptable."""
        if self.syntaxes is None:
            return stored
        dearness = {one: self.syntaxes.get(one, self.syntaxes.get("*", 0)) for one in (stored, EXPLICIT)}
        best = max(dearness, key=lambda one: dearness[one])
        if dearness[best]:
            return best
        raise _not_acceptable(
            [f"{self.media_type}; transfer-syntax={one}" for one in dict.fromkeys((stored, EXPLICIT))]
        )


def accepted(request: Request) -> list[Accepted]:
    """Return what a request accepts, the dearest first; the query parameter wins over the header (PS3.18 8.3.3)."""
    asked = request.query_params.getlist("accept")
    text = (
        ",".join(SUBTYPE.sub("dicom+", one) for one in asked) if asked else ",".join(request.headers.getlist("accept"))
    )
    if len(text) > LONGEST:
        raise QueryInvalid("The accepted media types are too many.")
    found = [_entry(entry) for entry in COMMA.split(text) if entry.strip()] or [Accepted("*/*", False, None, 1)]
    return sorted((one for one in found if one.q > 0), key=lambda one: -one.q)


Accepts = Annotated[list[Accepted], Depends(accepted)]


def choose_document(accepts: Sequence[Accepted]) -> Form:
    """JSON or XML, for results of a search and for metadata."""
    for one in accepts:
        if not one.multipart and (one.takes(DICOM_JSON) or one.takes(JSON)):
            return Form(DICOM_JSON, False)
        if one.multipart and one.takes(DICOM_XML):
            return Form(DICOM_XML, True)
    raise _not_acceptable([DICOM_JSON, f'{MULTIPART}; type="{DICOM_XML}"'])


def choose_outcome(accepts: Sequence[Accepted]) -> Form:
    """JSON or XML, in one document either way, for what became of instances to be stored (PS3.18 10.5.3.2)."""
    for one in accepts:
        for kind, also in ((DICOM_JSON, JSON), (DICOM_XML, DICOM_XML)):
            if not one.multipart and (one.takes(kind) or one.takes(also)):
                return Form(kind, False)
    raise _not_acceptable([DICOM_JSON, DICOM_XML])


def choose_dicom(accepts: Sequence[Accepted], count: int) -> Form:
    """DICOM files: `multipart/related` unless one file is wanted by itself (PS3.18 10.4.4, CP 2040)."""
    fitting = [one for one in accepts if one.takes(DICOM) and (one.multipart or one.media_type == "*/*" or count == 1)]
    if not fitting:
        raise _not_acceptable([f'{MULTIPART}; type="{DICOM}"', *([DICOM] if count == 1 else [])])
    multipart = fitting[0].multipart or fitting[0].media_type != DICOM
    alike = [one for one in fitting if (one.multipart or one.media_type != DICOM) == multipart]
    return Form(DICOM, multipart, {one.transfer_syntax or "*": one.q for one in reversed(alike)})


def choose_pixels(accepts: Sequence[Accepted], stored: str, count: int) -> Form:
    """Frames: as they are stored, or decoded as `application/octet-stream` (PS3.18 8.7.3.3)."""
    compressed = IMAGE_TYPES.get(stored)
    for one in accepts:
        if not (one.multipart or one.media_type == "*/*" or count == 1):
            continue
        multipart = one.multipart or one.media_type == "*/*"
        if compressed and one.takes(compressed) and one.takes_syntax(stored):
            return Form(compressed, multipart, {stored: one.q})
        if one.takes(OCTETS) and one.takes_syntax(EXPLICIT):
            return Form(OCTETS, multipart, {EXPLICIT: one.q})
    kinds = [kind for kind in (compressed, OCTETS) if kind]
    raise _not_acceptable([f'{MULTIPART}; type="{kind}"' for kind in kinds])


def choose_rendered(accepts: Sequence[Accepted]) -> Form:
    """Return JPEG, or PNG where that is preferred."""
    for one in accepts:
        for kind in (JPEG, PNG):
            if one.takes(kind):
                return Form(kind, one.multipart)
    raise _not_acceptable([JPEG, PNG])


def _entry(text: str) -> Accepted:
    media_type, *rest = (part.strip() for part in SEMICOLON.split(text))
    parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in (p.partition("=") for p in rest)}
    media_type, multipart = media_type.lower(), media_type.lower() == MULTIPART
    if multipart:
        media_type = parameters.get("type", "*/*").lower()
    try:
        q = float(parameters.get("q", 1))
    except ValueError:
        q = 0
    return Accepted(media_type, multipart, parameters.get("transfer-syntax"), q)


def _not_acceptable(available: Iterable[str]) -> NotAcceptable:
    named = list(available)
    return NotAcceptable(f"Available: {', '.join(named)}.", available=named)
