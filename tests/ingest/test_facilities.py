"""What auth says of facilities: their settings at the start, and that they are suspended."""

import asyncio
from datetime import UTC, datetime

from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import Event, FacilityOpened, FacilityReactivated, FacilitySuspended
from codetect_shared.tokens import Role

from tests.ingest.conftest import Clinic


async def tell(clinic: Clinic, event: Event, sequence: int) -> None:
    """As auth's relay does; return when it has been applied."""
    envelope = bus.Envelope(
        uuid7(),
        event.type,
        datetime.now(UTC),
        clinic.facility_id,
        f"facility/{clinic.facility_id}",
        sequence,
        event.model_dump(mode="json"),
    )
    async with bus.connect(clinic.ingest.settings.rabbitmq_url, "test") as connection:
        channel = await connection.channel(publisher_confirms=True)
        exchange = await topology.declare(channel)
        await bus.publish_all(channel, exchange, [(None, event.type, bus.encode(envelope, "auth"))])
    for _ in range(200):
        if await clinic.sql("SELECT 1 FROM inbox WHERE event_id = :id", id=envelope.id):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody applied it")


async def test_a_suspended_facility_completes_opens_and_stores_nothing_until_it_is_back(clinic: Clinic) -> None:
    body = {1: b"x" * 100}
    upload = await clinic.open()
    await clinic.post(upload, body)
    await tell(clinic, FacilitySuspended(facility_id=clinic.facility_id), 2)
    refused = await clinic.complete(upload, body)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:codetect:problem:facility-is-suspended")
    assert (await clinic.ask("POST", "/uploads", json={})).status_code == 403
    part = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    stored = await clinic.http.post("/dicomweb/studies", headers={**clinic.headers, **part}, content=b"--b--")
    assert stored.status_code == 403
    assert (await clinic.elsewhere().ask("POST", "/uploads", json={})).status_code == 201
    await tell(clinic, FacilityReactivated(facility_id=clinic.facility_id), 3)
    assert (await clinic.complete(upload, body)).status_code == 202


async def test_what_is_told_late_changes_nothing(clinic: Clinic) -> None:
    await tell(clinic, FacilityReactivated(facility_id=clinic.facility_id), 5)
    await tell(clinic, FacilitySuspended(facility_id=clinic.facility_id), 4)
    assert (await clinic.ask("POST", "/uploads", json={})).status_code == 201


async def test_a_facility_begins_with_what_its_operator_wished_and_auth_is_told(clinic: Clinic) -> None:
    id = clinic.facility_id
    wishes = FacilityOpened(facility_id=id, slug="demo", retention_days=90, profile="forget", opened_by=uuid7())
    await tell(clinic, wishes, 1)
    settings = (await clinic.ask("GET", "/ingest/settings")).json()
    assert (settings["retention_days"], settings["profile"]) == (90, "forget")
    admin = clinic.tokens.headers(id, Role.ADMIN)
    change = {"retention_days": 30}
    assert (await clinic.ask("PATCH", "/ingest/settings", json=change, headers=admin)).status_code == 200
    assert (await clinic.ask("PATCH", "/ingest/settings", json=change, headers=admin)).status_code == 200
    told = [(row.subject, row.sequence, row.data) for row in await clinic.events("settings.changed")]
    assert told == [
        (f"settings/{id}", n, {"facility_id": str(id), "retention_days": days, "profile": "forget"})
        for n, days in ((1, 90), (2, 30))
    ]
    [first, *_] = await clinic.sql("SELECT action, role FROM audit WHERE facility_id = :f ORDER BY sequence", f=id)
    assert (first.action, first.role) == ("settings.change", "operator")


async def test_settings_that_an_admin_chose_before_stay(clinic: Clinic) -> None:
    admin = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
    await clinic.ask("PATCH", "/ingest/settings", json={"retention_days": 7}, headers=admin)
    await tell(clinic, FacilityOpened(facility_id=clinic.facility_id, slug="demo", retention_days=90), 1)
    assert (await clinic.ask("GET", "/ingest/settings")).json()["retention_days"] == 7
