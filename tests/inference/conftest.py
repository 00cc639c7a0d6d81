"""The inference API running in this process on real servers, its workers on demand, and a facility for each test."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import numpy as np
import pytest
from codetect_inference import service, worker
from codetect_inference.app import api
from codetect_inference.models import Analysis
from codetect_inference.settings import Settings, WorkerSettings
from codetect_shared.db import Database, uuid7
from codetect_shared.events import SeriesFacts, StudyErased, StudyReceived
from codetect_shared.storage import Storage
from codetect_shared.testing import Tokens, running
from codetect_shared.tokens import Role
from sqlalchemy import select

from tests.inference.samples import BUNDLE, bundle_files, read_slice, saying, sha256, volume_zip, zipped
from tests.infrastructure import Infrastructure, empty_broker

SAMPLE = sorted((Path(__file__).parents[1] / "data/lidc-idri-0001").glob("*.dcm"))
HU = {}
ANOTHER = ("0.2.0", "0.3.0")


def lung(slices: int) -> list[Path]:
    """That many neighbouring slices from the middle of the sample's lungs, feet to head."""
    middle = len(SAMPLE) // 2
    return SAMPLE[middle - slices // 2 : middle - slices // 2 + slices][::-1]


def read(paths: list[Path]) -> Any:
    for path in paths:
        if path not in HU:
            HU[path] = read_slice(path)
    return np.stack([HU[path] for path in paths])


def folder_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@dataclass
class House:
    """The service as tests see it."""

    settings: Settings
    client: httpx.AsyncClient
    tokens: Tokens
    db: Database
    storage: Storage

    async def sql(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.settings.database_system_url.get_secret_value())
        try:
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def told(self, analysis_id: UUID | str) -> list[tuple[str, dict[str, Any]]]:
        """Events about an analysis in order: what happened, and its payload."""
        rows = await self.sql(
            "SELECT type, data FROM outbox WHERE subject = $1 AND queue IS NULL ORDER BY sequence",
            f"analysis/{analysis_id}",
        )
        return [(row["type"].split(".")[2], json.loads(row["data"])) for row in rows]


@pytest.fixture(scope="package")
async def house(infra: Infrastructure, environment: dict[str, str]) -> AsyncIterator[House]:
    await infra.migrate("inference")
    await empty_broker(environment["CODETECT_RABBITMQ_URL"])
    tokens = Tokens()
    app = api(settings := Settings(second_reads=0))  # whom a sample takes is left to its own test
    async with running(app, tokens) as client:
        yield House(settings, client, tokens, app.state.db, app.state.storage)


@pytest.fixture
async def clear(house: House) -> None:
    """No work left by other tests, and no models."""
    await house.sql("DELETE FROM analyses")
    await house.sql("DELETE FROM studies")
    await house.sql("DELETE FROM models")


@dataclass
class Facility:
    """A facility nobody else uses: what it asks for, and the studies it sends."""

    house: House
    id: UUID

    async def ask(self, method: str, path: str, role: Role = Role.MEMBER, **rest: Any) -> httpx.Response:
        headers = self.house.tokens.headers(self.id, role)
        return await self.house.client.request(method, f"/api/v1{path}", headers=headers, **rest)

    async def register(self, files: dict[str, bytes]) -> httpx.Response:
        upload = {"bundle": ("bundle.zip", zipped(files), "application/zip")}
        return await self.ask("POST", "/models", Role.OPERATOR, files=upload)

    async def activate(self, version: str, name: str = "tiny", **where: Any) -> httpx.Response:
        return await self.ask("POST", f"/models/{name}/{version}/activate", Role.OPERATOR, json=where)

    async def store(self, paths: list[Path], **changes: Any) -> SeriesFacts:
        """A prepared volume with its manifest, as ingest leaves them."""
        hu, series_id, upload_id = read(paths), uuid7(), uuid7()
        content = volume_zip(hu)
        prefix = f"{self.id}/{upload_id}/{series_id}"
        volume = {"key": f"{prefix}/volume.zarr.zip", "sha256": sha256(content), "bytes": len(content)}
        instances = [
            {"index": n, "sop_instance_uid": f"2.25.{n + 1}", "position_mm": [0, 0, 2.5 * n]} for n in range(len(hu))
        ]
        manifest = {
            "version": 1,
            "patient_id": "CD0123456789",
            "study_date": "20010203",
            "study_instance_uid": "2.25.7",
            "series_instance_uid": "2.25.1",
            "frame_of_reference_uid": "2.25.9",
            "pixel_spacing_mm": [0.7, 0.8],
            "slice_spacing_mm": 2.5,
            "slice_thickness_mm": 2.5,
            "volume": volume,
            "instances": instances,
        }
        await self.house.storage.put("studies", volume["key"], content)
        await self.house.storage.put("studies", f"{prefix}/manifest.json", json.dumps(manifest).encode())
        return series(
            series_id=series_id,
            slices=len(hu),
            rows=hu.shape[1],
            columns=hu.shape[2],
            manifest_key=f"{prefix}/manifest.json",
            volume_key=volume["key"],
            volume_sha256=volume["sha256"],
            **changes,
        )

    async def receive(self, *those: SeriesFacts, study_id: UUID | None = None, **changes: Any) -> StudyReceived:
        """A study arrives; its analyses are queued."""
        event = received(*those, study_id=study_id or uuid7(), **changes)
        async with self.house.db.facility(self.id) as session:
            await service.receive_study(session, self.id, event)
        return event

    async def erase(self, study_id: UUID) -> None:
        async with self.house.db.facility(self.id) as session:
            await service.erase_study(session, self.id, StudyErased(study_id=study_id))

    async def analyses(self, study_id: UUID | None = None) -> list[Analysis]:
        statement = select(Analysis).order_by(Analysis.id)
        async with self.house.db.facility(self.id) as session:
            return list(
                await session.scalars(statement.where(Analysis.study_id == study_id) if study_id else statement)
            )


@pytest.fixture
def facility(house: House) -> Facility:
    return Facility(house, uuid7())


@pytest.fixture
def other(house: House) -> Facility:
    return Facility(house, uuid7())


@pytest.fixture
async def tiny(clear: None, facility: Facility) -> str:
    """A registered model that runs in no time: its name."""
    assert (await facility.register(bundle_files())).status_code == 201
    return "tiny"


@pytest.fixture
async def versions(tiny: str, facility: Facility) -> str:
    """0.1.0 serves; 0.2.0 always finds something and 0.3.0 never does: both only registered."""
    for version, number in zip(ANOTHER, (9.0, -9.0), strict=True):
        assert (await facility.register(bundle_files(saying(number), version=version))).status_code == 201
    return tiny


async def do(facility: Facility, what: str, version: str, **body: Any) -> Any:
    """What an operator does with a version of `tiny`."""
    answer = await facility.ask("POST", f"/models/tiny/{version}/{what}", Role.OPERATOR, json=body)
    assert answer.is_success, answer.text
    return answer.json()


@asynccontextmanager
async def damaged(house: House, version: str) -> AsyncIterator[None]:
    """Within, a version of `tiny` can't be loaded: its file in the store is another."""
    (model,) = await house.sql("SELECT * FROM models WHERE name = 'tiny' AND version = $1", version)
    key = f"{model['name']}/{model['version']}/{model['sha256']}/model.onnx"
    whole = await house.storage.get("models", key)
    await house.storage.put("models", key, whole + b" ")
    yield
    await house.storage.put("models", key, whole)


@pytest.fixture
async def shipped(clear: None, facility: Facility) -> str:
    """The model that comes with CoDetect, registered: its name."""
    answer = await facility.register(folder_files(BUNDLE))
    assert answer.status_code == 201
    return str(answer.json()["name"])


Working = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def working(house: House, tmp_path: Path) -> Working:
    """`async with working():` a worker process's application runs in this process."""

    @asynccontextmanager
    async def run(**changes: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = WorkerSettings(model_cache=tmp_path / "models", **({"provider": "cpu"} | changes))
        async with running(worker.app(settings), house.tokens) as client:
            yield client

    return run


def series(**changes: Any) -> SeriesFacts:
    facts: dict[str, Any] = {
        "series_id": uuid7(),
        "series_instance_uid": "2.25.1",
        "modality": "CT",
        "plane": "axial",
        "slices": 100,
        "rows": 512,
        "columns": 512,
        "manifest_key": "none",
        "volume_key": "none",
        "volume_sha256": "0" * 64,
    }
    return SeriesFacts(**(facts | changes))


def received(*those: SeriesFacts, **changes: Any) -> StudyReceived:
    facts: dict[str, Any] = {
        "study_id": uuid7(),
        "version": 1,
        "upload_id": uuid7(),
        "study_instance_uid": "2.25.7",
        "priority": "routine",
        "series": list(those),
        "upload_ms": 1200,
        "import_ms": 800,
        "submitted_at": datetime.now(UTC),
    }
    return StudyReceived(**(facts | changes))
