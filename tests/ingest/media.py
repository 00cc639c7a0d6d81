"""DICOM in requests: for tests that store some, and for those that have bodies made up (importing this says how)."""

from collections.abc import Sequence

import requests
import schemathesis
from hypothesis import strategies as st

from tests.ingest.samples import ct, written

RELATED = 'multipart/related; type="application/dicom"'
KIND = f"{RELATED}; boundary=codetect"


def multipart(parts: Sequence[bytes], content_type: bytes = b"application/dicom") -> bytes:
    head = b"--codetect\r\nContent-Type: " + content_type + b"\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--codetect--\r\n"


def with_boundary(request: requests.PreparedRequest) -> None:
    """Name the boundary, which no document can."""
    if request.headers.get("Content-Type") == RELATED:
        request.headers["Content-Type"] = KIND


FILES = st.sampled_from([written(ct()), written(ct())[:-100], b"", b"no DICOM"]) | st.binary(max_size=200)
schemathesis.openapi.media_type("application/dicom", FILES)
schemathesis.openapi.media_type(RELATED, st.lists(FILES, max_size=3).map(multipart) | st.binary(max_size=200))
