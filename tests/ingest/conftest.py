"""The ingest service in this process on real servers: its API, its importer, and a client that posts like any other."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import pytest
from codetect_ingest.app import api
from codetect_ingest.children import Children
from codetect_ingest.dicom.volume import Manifest
from codetect_ingest.importer import Importer
from codetect_ingest.models import ASSEMBLIES, UPLOADS, Upload
from codetect_ingest.service import Ingest
from codetect_ingest.settings import Settings
from codetect_shared.db import Database, uuid7
from codetect_shared.testing import Tokens, claimed, running
from pydicom.uid import generate_uid
from sqlalchemy import text

from tests.infrastructure import Infrastructure, empty_broker
from tests.ingest.dicomweb import Web, listening


@dataclass
class Clinic:
    """A facility's client of the API, and a look behind it."""

    http: httpx.AsyncClient
    ingest: Ingest
    tokens: Tokens
    facility_id: UUID = field(default_factory=uuid7)

    @property
    def headers(self) -> dict[str, str]:
        return self.tokens.headers(self.facility_id)

    def elsewhere(self) -> "Clinic":
        """Another facility's client."""
        return Clinic(self.http, self.ingest, self.tokens)

    async def ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        headers = {**self.headers, **rest.pop("headers", {})}
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **rest)

    async def open(self, **body: Any) -> dict[str, Any]:
        answer = await self.ask("POST", "/uploads", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def post(self, upload: dict[str, Any], files: Mapping[int, bytes]) -> None:
        """Post files straight to the object store, under their numbers."""
        async with httpx.AsyncClient(timeout=60) as store:
            for number, body in files.items():
                fields = {**upload["post"]["fields"], "key": f"{upload['key_prefix']}{number:06}"}
                answer = await store.post(upload["post"]["url"], data=fields, files={"file": ("x", body)})
                assert answer.is_success, answer.text

    async def complete(self, upload: dict[str, Any], files: Mapping[int, bytes]) -> httpx.Response:
        claim = {"file_count": len(files), "total_bytes": sum(map(len, files.values()))}
        return await self.ask("POST", f"/uploads/{upload['id']}/complete", json=claim)

    async def submit(self, files: Iterable[bytes], **body: Any) -> dict[str, Any]:
        """Open, post and complete."""
        numbered = dict(enumerate(files, 1))
        upload = await self.open(**body)
        await self.post(upload, numbered)
        answer = await self.complete(upload, numbered)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def show(self, upload: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.ask("GET", f"/uploads/{upload['id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        async with self.ingest.db.system() as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    async def events(self, kind: str = "%") -> list[Any]:
        """What this facility's outbox holds, in order."""
        return await self.sql(
            "SELECT type, subject, sequence, data FROM outbox WHERE facility_id = :f AND queue IS NULL"
            " AND type LIKE :kind ORDER BY id",
            f=self.facility_id,
            kind=f"codetect.{kind}.v1",
        )

    async def manifest(self, key: str) -> Manifest:
        return Manifest.model_validate_json(await self.ingest.storage.get("studies", key))

    async def keys(self, bucket: Any) -> list[str]:
        return [found.key for found in await self.ingest.storage.list(bucket, f"{self.facility_id}/")]


@dataclass
class Hands:
    """An importer whose every job a test starts itself."""

    db: Database
    importer: Importer
    clinic: Clinic

    async def take(self) -> Upload:
        return await claimed(UPLOADS, self.db)

    async def assemble(self, study_id: Any) -> None:
        """Assemble a study as if its quiet time were over."""
        await self.clinic.sql("UPDATE studies SET available_at = now() WHERE id = :id", id=study_id)
        job = await claimed(ASSEMBLIES, self.db)
        assert str(job.id) == str(study_id)
        await self.importer.assemble(job)

    async def run(self) -> Upload:
        """Import the next upload."""
        job = await self.take()
        await self.importer.run(job)
        return job


@pytest.fixture(scope="package")
async def settings(infra: Infrastructure, environment: Mapping[str, str]) -> Settings:
    await infra.migrate("ingest")
    await empty_broker(environment["CODETECT_RABBITMQ_URL"])
    return Settings()


@pytest.fixture(scope="package")
async def api_client(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, Ingest, Tokens]]:
    # Tests erase when they say so: a round of the API's own would come in between.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codetect_ingest.app.ERASE_S", 3600)
        app, tokens = api(settings), Tokens()
        async with running(app, tokens) as client:
            yield client, app.state.ingest, tokens


@pytest.fixture(scope="package")
async def served(api_client: tuple[httpx.AsyncClient, Ingest, Tokens]) -> AsyncIterator[str]:
    """The same application on a socket, for clients that need one."""
    transport = api_client[0]._transport
    assert isinstance(transport, httpx.ASGITransport)
    async with listening(transport.app) as url:
        yield url


@pytest.fixture
async def web(clinic: Clinic, served: str) -> Web:
    """A new facility's DICOMweb client, who sees pseudonyms."""
    return Web(clinic, served)


@pytest.fixture
async def clinic(api_client: tuple[httpx.AsyncClient, Ingest, Tokens]) -> Clinic:
    """A new facility's client; nothing of other tests waits to be imported."""
    clinic = Clinic(*api_client)
    await clinic.sql("UPDATE uploads SET available_at = NULL")
    await clinic.sql("UPDATE studies SET available_at = NULL")
    return clinic


@pytest.fixture(scope="package")
async def children() -> AsyncIterator[Children]:
    pool = Children(2)
    yield pool
    pool.close()


@pytest.fixture
async def hands(settings: Settings, clinic: Clinic, children: Children) -> Hands:
    return Hands(clinic.ingest.db, Importer(settings, clinic.ingest.db, clinic.ingest.storage, children), clinic)


def new_uids() -> dict[str, Any]:
    """A study and a series that nobody has seen."""
    return {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "PatientID": generate_uid()[-12:]}
