"""The same question to two servers that hold the same files: Orthanc, and ours as the right `identity` shows it."""

import asyncio
import http.client
import string
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
from httpx import Response

from tests.ingest.dicomweb import Web
from tests.load.orthanc import multipart

STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"
KIND = 'multipart/related; type="application/dicom"; boundary=codetect'
DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True)
class Answers:
    """What each of the two said."""

    ours: Response
    theirs: Response

    @property
    def statuses(self) -> tuple[int, int]:
        return self.ours.status_code, self.theirs.status_code


@dataclass(frozen=True)
class Both:
    """Clients of both; addresses are those below `/dicomweb`, which Orthanc calls `/dicom-web`."""

    web: Web
    port: int

    async def get(self, path: str, accept: str | None = None, query: str = "") -> Answers:
        """Ask both. Orthanc gets the query with as little percent-encoded as can be: it doesn't decode that."""
        return await self.ask("GET", path, query, {"Accept": accept} if accept else {})

    async def store(self, files: list[bytes], study: str = "") -> Answers:
        return await self.post(f"/studies/{study}" if study else "/studies", multipart(files), KIND)

    async def post(self, path: str, body: bytes, content_type: str) -> Answers:
        return await self.ask("POST", path, "", {"Content-Type": content_type, "Accept": DICOM_JSON}, body)

    async def orthancs_own(self, query: dict[str, Any]) -> list[Any]:
        """What Orthanc's own search finds, without DICOMweb."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return list((await client.post(f"http://127.0.0.1:{self.port}/tools/find", json=query)).json())

    async def ask(
        self, method: str, path: str, query: str = "", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answers:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            url = f"{self.web.url}/dicomweb{path}" + (f"?{quote(query, safe='=&%')}" if query else "")
            ours = await client.request(method, url, content=body, headers=(headers or {}) | self.web.headers)
        raw = f"/dicom-web{path}" + (f"?{quote(query, safe=string.punctuation)}" if query else "")
        return Answers(ours, await asyncio.to_thread(_ask, self.port, method, raw, headers or {}, body))


def _ask(port: int, method: str, target: str, headers: dict[str, str], body: bytes) -> Response:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body or None, headers)
        answer = connection.getresponse()
        return Response(answer.status, headers=answer.getheaders(), content=answer.read())
    finally:
        connection.close()


def found(answer: Response, tag: str) -> list[Any]:
    """Values of an attribute in what was found."""
    return [item[tag]["Value"][0] for item in answer.json()]
