"""A DICOMweb server as clients meet it: the API on a socket, and `dicomweb-client` of one who may see this or that."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pydicom
import requests
import uvicorn
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_shared.tokens import Role, Scope
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI
from pydicom.dataset import Dataset

from tests.ingest.samples import written

if TYPE_CHECKING:
    from tests.ingest.conftest import Clinic, Hands

T = TypeVar("T")
PLAIN, IDENTITY = frozenset({Scope.READ, Scope.WRITE}), frozenset({Scope.READ, Scope.WRITE, Scope.IDENTITY})


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """The application, which runs already, on a port; its address."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@dataclass
class Web:
    """Somebody of a facility who uses DICOMweb."""

    clinic: "Clinic"
    url: str
    scopes: frozenset[str] = PLAIN

    @property
    def headers(self) -> dict[str, str]:
        return self.clinic.tokens.headers(self.clinic.facility_id, Role.API_CLIENT, scopes=self.scopes)

    def seeing_identities(self) -> "Web":
        return Web(self.clinic, self.url, IDENTITY)

    def elsewhere(self) -> "Web":
        return Web(self.clinic.elsewhere(), self.url, self.scopes)

    async def call(self, what: Callable[[DICOMwebClient], T]) -> T:
        """Use dicomweb-client, which blocks."""
        session = requests.Session()
        session.headers.update(self.headers)
        session.trust_env = False
        client = DICOMwebClient(f"{self.url}/dicomweb", session=session)
        client.host = self.url.removeprefix("http://")  # it would leave out the port
        try:
            return await asyncio.to_thread(what, client)
        finally:
            session.close()

    async def get(self, path: str, accept: str | None = None, **rest: Any) -> httpx.Response:
        headers = self.headers | ({"Accept": accept} if accept else {}) | rest.pop("headers", {})
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            url = path if path.startswith("http") else f"{self.url}/dicomweb{path}"
            return await client.get(url, headers=headers, **rest)

    async def found(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """What a search answers with."""
        answer = await self.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/dicom+json"
        return list(answer.json())

    async def key(self) -> FacilityKey:
        async with self.clinic.ingest.db.facility(self.clinic.facility_id) as session:
            settings = self.clinic.ingest.settings
            return await facility_key(session, self.clinic.facility_id, settings.master_key)

    async def pseudonyms(self) -> Pseudonyms:
        return Pseudonyms((await self.key()).pseudonyms)


async def bring(web: Web, hands: "Hands", files: Iterable[Dataset | bytes]) -> dict[str, Any]:
    """Submit files and import them; every one has to be taken."""
    upload = await web.clinic.submit(file if isinstance(file, bytes) else written(file) for file in files)
    await hands.run()
    shown = await web.clinic.show(upload)
    assert {file["state"] for file in shown["files"]} == {"accepted"}, shown
    return shown


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """The parts of a multipart answer: content type and bytes."""
    assert answer.status_code == 200, answer.text
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/related; type="), kind
    boundary = kind.partition("boundary=")[2].encode()
    *found, end = answer.content.split(b"--" + boundary)
    assert (found[0], end) == (b"", b"--\r\n")
    split = [part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n") for part in found[1:]]
    return [(head.decode().partition("Content-Type: ")[2].splitlines()[0], body) for head, _, body in split]


def parsed(data: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(data))


def values(items: list[dict[str, Any]], tag: str) -> list[Any]:
    """An attribute's first value of each item."""
    return [item[tag]["Value"][0] if item.get(tag, {}).get("Value") else None for item in items]
