import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import httpx
import pydicom
import pytest
import uvicorn
from codetect_ingest.delivering import Deliverer
from codetect_ingest.models import DELIVERIES, Delivery
from codetect_ingest.results import on_analysis_completed
from codetect_ingest.settings import Settings
from codetect_local.ports import free_block
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisCompleted, ResultDocument
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import change_settings
from tests.ingest.test_importer import bodies, slices


@dataclass
class Archive:
    """A DICOMweb server that keeps what it is sent, and answers what it is told to."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    reason: int = 0xA700
    taken: list[Dataset] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    async def store(self, request: Request) -> JSONResponse:
        body = await request.body()
        self.authorizations.append(request.headers.get("authorization", ""))
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            boundary = request.headers["content-type"].split("boundary=")[1].encode()
            for part in body.split(b"--" + boundary)[1:-1]:
                self.taken.append(pydicom.dcmread(BytesIO(part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"))))
        failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [self.reason]}}]}}
        changed = {"00081199": {"vr": "SQ", "Value": [{"00081196": {"vr": "US", "Value": [0xB000]}}]}}
        return JSONResponse((failed if self.reason else changed) if status != 200 else {}, status)


@pytest.fixture
async def archive() -> AsyncIterator[Archive]:
    archive, port = Archive(), free_block()
    app = Starlette(routes=[Route("/pacs/studies", archive.store, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    archive.url = f"http://127.0.0.1:{port}/pacs"
    yield archive
    server.should_exit = True
    await serving


@pytest.fixture
async def deliverer(settings: Settings, clinic: Clinic) -> AsyncIterator[Deliverer]:
    await clinic.sql("UPDATE deliveries SET available_at = NULL")
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Deliverer(settings, clinic.ingest.db, clinic.ingest.storage, client)


async def register(clinic: Clinic, archive: Archive, **rest: Any) -> httpx.Response:
    body = {"name": "PACS", "url": archive.url, "username": "pacs", "password": "geheim"} | rest
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    return await clinic.http.post("/api/v1/ingest/destinations", json=body, headers=headers)


async def analysed(clinic: Clinic, hands: Hands) -> tuple[list[Dataset], AnalysisCompleted]:
    """A study with one result, as inference tells it: a document that refers to the study's slices."""
    series = slices(2)
    await clinic.submit(bodies(series))
    await hands.run()
    ((study_id, study_uid, patient),) = await clinic.sql(
        "SELECT id, study_instance_uid, patient_id FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    ((uid,), *_) = await clinic.sql("SELECT sop_instance_uid FROM instances WHERE study_id = :s", s=study_id)
    body = report(study_uid, patient, uid)
    key = f"{clinic.facility_id}/{study_id}/report.dcm"
    await clinic.ingest.storage.put("results", key, body)
    event = AnalysisCompleted(
        analysis_id=uuid7(),
        study_id=study_id,
        upload_id=uuid7(),
        model="m",
        model_version="1",
        findings=[],
        slices_total=2,
        slices_analysed=2,
        provider="cpu",
        queued_ms=1,
        inference_ms=1,
        total_ms=1,
        documents=[
            ResultDocument(
                kind="sr",
                key=key,
                sha256=hashlib.sha256(body).hexdigest(),
                bytes=len(body),
                sop_class_uid=EnhancedSRStorage,
                sop_instance_uid="2.25.1",
                series_instance_uid="2.25.2",
                series_number=9001,
                modality="SR",
            )
        ],
    )
    async with clinic.ingest.db.system() as session:
        for _ in range(2):  # told at least once
            told = Envelope(uuid7(), event.type, datetime.now(UTC), clinic.facility_id, "", 1, {})
            await on_analysis_completed(session, event, told, clinic.ingest.settings.master_key)
    return series, event


def report(study_uid: str, patient: str, slice_uid: str) -> bytes:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedSRStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "2.25.1"
    ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.PatientID, ds.PatientName = "2.25.2", study_uid, patient, ""
    ds.Modality, ds.PatientIdentityRemoved, ds.ContentDate, ds.ContentTime = "SR", "YES", "19970101", "000000"
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = slice_uid
    item = Dataset()
    item.ReferencedSOPSequence = [reference]
    ds.ContentSequence = [item]
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


async def take(clinic: Clinic) -> Delivery:
    await clinic.sql("UPDATE deliveries SET available_at = now() WHERE available_at IS NOT NULL")
    return await claimed(DELIVERIES, clinic.ingest.db)


async def shown(clinic: Clinic) -> list[dict[str, Any]]:
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    answer = await clinic.http.get("/api/v1/ingest/deliveries", headers=headers)
    return list(answer.json()["items"])


async def test_a_result_returns_under_the_original_names(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    assert (await register(clinic, archive)).status_code == 201
    series, event = await analysed(clinic, hands)
    await deliverer.run(await take(clinic))
    (ds,) = archive.taken
    assert ds.StudyInstanceUID == series[0].StudyInstanceUID
    assert (str(ds.PatientName), ds.PatientID) == ("Mustermann^Erika", series[0].PatientID)
    (reference,) = ds.ContentSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID in {one.SOPInstanceUID for one in series}
    assert "PatientIdentityRemoved" not in ds
    assert ds.ContentDate == datetime.now(UTC).strftime("%Y%m%d"), "the study's own date was moved"
    assert base64.b64decode(archive.authorizations[0].removeprefix("Basic ")) == b"pacs:geheim"
    (delivery,) = await shown(clinic)
    assert (delivery["state"], delivery["last_status"]) == ("delivered", 200)
    assert delivery["analysis_id"] == str(event.analysis_id)


async def test_a_pseudonymous_destination_learns_no_names(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive, view="pseudonymous")
    series, _ = await analysed(clinic, hands)
    await deliverer.run(await take(clinic))
    (ds,) = archive.taken
    assert ds.StudyInstanceUID != series[0].StudyInstanceUID
    assert ds.PatientID != series[0].PatientID
    assert ds.ContentDate == "19970101"


async def test_while_the_facility_forgets_no_name_goes_out_and_no_pseudonym_in_its_stead(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive)
    await analysed(clinic, hands)
    await change_settings(clinic, profile="forget")
    refused = await register(clinic, archive, name="b")
    assert (refused.status_code, "pseudonymous" in refused.json()["detail"]) == (422, True)
    assert (await register(clinic, archive, name="b", view="pseudonymous")).status_code == 201
    await deliverer.run(await take(clinic))
    (delivery,) = await shown(clinic)
    assert (delivery["state"], archive.taken) == ("failed", [])
    assert "forgotten" in delivery["last_error"]


async def test_what_was_never_sealed_goes_to_no_archive_that_wants_originals(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive)
    await change_settings(clinic, profile="forget")
    await analysed(clinic, hands)
    await change_settings(clinic, profile="seal")
    await deliverer.run(await take(clinic))
    (delivery,) = await shown(clinic)
    assert (delivery["state"], archive.taken) == ("failed", [])


async def test_an_archive_that_is_away_gets_it_later(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive)
    await analysed(clinic, hands)
    archive.answers = [503, 401]
    for status in (503, 401):
        await deliverer.run(await take(clinic))
        (delivery,) = await shown(clinic)
        assert (delivery["state"], delivery["last_status"]) == ("queued", status)
        assert delivery["available_at"]
    await deliverer.run(await take(clinic))
    assert len(archive.taken) == 1


async def test_an_archive_that_refuses_is_asked_again_by_hand_only(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive)
    await analysed(clinic, hands)
    archive.answers, archive.reason = [409], 0xA900
    await deliverer.run(await take(clinic))
    (delivery,) = await shown(clinic)
    assert (delivery["state"], delivery["last_error"]) == ("failed", "It answered 409 with reason A900.")
    assert await DELIVERIES.claim(clinic.ingest.db) is None
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    path = f"/api/v1/ingest/deliveries/{delivery['id']}/retry"
    assert (await clinic.http.post(path, headers=headers)).status_code == 202
    await deliverer.run(await take(clinic))
    assert (await shown(clinic))[0]["state"] == "delivered"
    assert (await clinic.http.post(path, headers=headers)).status_code == 409


async def test_all_that_failed_at_one_destination_is_sent_again_at_once(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    first, second = [(await register(clinic, archive, name=name)).json()["id"] for name in ("a", "b")]
    await analysed(clinic, hands)
    archive.answers, archive.reason = [409, 409], 0xA900
    for _ in range(2):
        await deliverer.run(await take(clinic))
    path, admin = f"/api/v1/ingest/destinations/{first}/retry", clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    for sent in (1, 0):
        asked = await clinic.http.post(path, headers=admin)
        assert (asked.status_code, asked.json()) == (202, {"deliveries": sent})
    await deliverer.run(await take(clinic))
    found = {one["destination_id"]: one["state"] for one in await shown(clinic)}
    assert found == {first: "delivered", second: "failed"}
    theirs = clinic.tokens.headers(clinic.elsewhere().facility_id, Role.ADMIN)
    assert (await clinic.http.post(path, headers=theirs)).status_code == 404
    assert (await clinic.http.post(path, headers=clinic.headers)).status_code == 403


@pytest.mark.parametrize("status", [202, 409])
async def test_an_archive_whose_disk_is_full_gets_it_later(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer, status: int
) -> None:
    await register(clinic, archive)
    await analysed(clinic, hands)
    archive.answers, archive.reason = [status], 0xA702
    await deliverer.run(await take(clinic))
    (delivery,) = await shown(clinic)
    assert (delivery["state"], delivery["last_error"]) == ("queued", f"It answered {status} with reason A702.")
    await deliverer.run(await take(clinic))
    assert ((await shown(clinic))[0]["state"], len(archive.taken)) == ("delivered", 1)


async def test_an_archive_that_changes_something_has_taken_it(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive)
    await analysed(clinic, hands)
    archive.answers, archive.reason = [202], 0
    await deliverer.run(await take(clinic))
    (delivery,) = await shown(clinic)
    assert (delivery["state"], delivery["last_status"]) == ("delivered", 202)


async def test_it_is_tried_for_three_days_and_then_given_up(
    clinic: Clinic, hands: Hands, archive: Archive, deliverer: Deliverer
) -> None:
    await register(clinic, archive, url="http://127.0.0.1:9/pacs")
    await analysed(clinic, hands)
    waited = timedelta()
    while (await shown(clinic))[0]["state"] == "queued":
        await deliverer.run(await take(clinic))
        ((wait,),) = await clinic.sql(
            "SELECT available_at - clock_timestamp() FROM deliveries WHERE facility_id = :f", f=clinic.facility_id
        )
        waited += wait or timedelta()
        assert (wait or timedelta()) <= timedelta(hours=1)
    assert timedelta(days=3) - timedelta(minutes=1) < waited < timedelta(days=3, hours=1)
    (delivery,) = await shown(clinic)
    assert (delivery["state"], delivery["last_status"]) == ("failed", None)


async def test_destinations_are_the_admins_and_their_facilitys(clinic: Clinic, archive: Archive) -> None:
    assert (await register(clinic, archive)).status_code == 201
    assert (await register(clinic, archive)).status_code == 409
    other = clinic.elsewhere()
    admin = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    (mine,) = (await clinic.http.get("/api/v1/ingest/destinations", headers=admin)).json()["items"]
    assert "geheim" not in str(mine)
    path = f"/api/v1/ingest/destinations/{mine['id']}"
    theirs = clinic.tokens.headers(other.facility_id, Role.ADMIN)
    assert (await clinic.http.get("/api/v1/ingest/destinations", headers=theirs)).json() == {"items": []}
    assert (await clinic.http.delete(path, headers=theirs)).status_code == 404
    assert (await clinic.http.get("/api/v1/ingest/destinations", headers=clinic.headers)).status_code == 403
    assert (await clinic.http.patch(path, json={"enabled": False}, headers=admin)).json()["enabled"] is False
    assert (await clinic.http.delete(path, headers=admin)).status_code == 204
    trail = await clinic.sql(
        "SELECT sequence, action FROM audit WHERE facility_id = :f ORDER BY id", f=clinic.facility_id
    )
    assert [row.sequence for row in trail] == list(range(1, len(trail) + 1))
    assert [row.action for row in trail if row.action != "access.refused"] == [
        "destination.add",
        "destination.switch",
        "destination.remove",
    ]


async def test_the_operator_says_where_results_may_go(
    clinic: Clinic, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic.ingest.settings, "destination_hosts", "10.0.0.0/8, *.hospital.example, 127.0.0.1")
    assert (await register(clinic, archive)).status_code == 201
    assert (await register(clinic, archive, name="b", url="https://pacs.hospital.example/dicom-web")).status_code == 201
    refused = await register(clinic, archive, name="c", url="http://auth:8101/dicom-web")
    assert refused.status_code == 422
    assert "operator" in refused.json()["detail"]
