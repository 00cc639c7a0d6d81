"""A filled database of revision 0001, as its own code left it, comes to the newest revision and loses nothing.

What was recorded: `tests/data/recordings.md`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from codetect_ingest.app import api
from codetect_ingest.children import Children
from codetect_ingest.importer import Importer
from codetect_ingest.settings import Settings
from codetect_shared.testing import Tokens, running
from codetect_shared.tokens import Role, Scope
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from tests.histories import MASTER_KEY, History, Recorded, differences, history, recorded
from tests.infrastructure import Infrastructure, empty_broker
from tests.ingest.conftest import Clinic, Hands

MINE, OTHER = "mine", "other"


@dataclass
class Upgraded:
    """The service after the upgrade, and what it kept and said before."""

    clinics: dict[str, Clinic]
    history: History
    then: Recorded
    kept: dict[str, int]  # rows, before anything ran on them
    counted: dict[str, tuple[int, int]]  # studies and bytes, as revision 0004 counted them

    def studies(self, name: str) -> list[dict[str, Any]]:
        return list(self.then.said[name]["answers"]["/studies"]["items"])

    def used(self, name: str) -> tuple[int, int]:
        """Studies, and bytes of their files."""
        mine = self.then.said[name]["facility_id"]
        files = [one["facts"]["bytes"] for one in self.then.rows["instances"] if one["facility_id"] == mine]
        return len(self.studies(name)), sum(files)

    async def told(self, name: str) -> tuple[int, int]:
        """The same as the service says it."""
        usage = (await self.clinics[name].ask("GET", "/ingest/usage")).json()
        return usage["studies"]["used"], usage["bytes"]["used"]


@pytest.fixture(scope="module")
async def upgraded(infra: Infrastructure, environment: dict[str, str]) -> AsyncIterator[Upgraded]:
    then = recorded("ingest-0001")
    async with history(infra, "ingest", "0001") as database:
        await database.fill(then.rows)
        await database.upgrade("0010")
        counted = {
            str(row["facility_id"]): tuple(row)[1:] for row in await database.sql("SELECT * FROM facility_usage")
        }
        await database.sql("DELETE FROM facility_usage")  # as 0004 left it while it saw nothing
        await database.upgrade()
        kept = await database.counted(then.rows)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("codetect_ingest.app.ERASE_S", 3600)
            app, tokens = api(Settings(**database.settings, master_key=MASTER_KEY)), Tokens()
            async with running(app, tokens) as client:
                for (bucket, key), content in then.objects.items():
                    await app.state.ingest.storage.put(bucket, key, content)
                ids = {name: UUID(then.said[name]["facility_id"]) for name in (MINE, OTHER)}
                clinics = {name: Clinic(client, app.state.ingest, tokens, ids[name]) for name in ids}
                yield Upgraded(clinics, database, then, kept, counted)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])


async def test_no_row_is_lost(upgraded: Upgraded) -> None:
    assert upgraded.kept == {table: len(rows) for table, rows in upgraded.then.rows.items()}


@pytest.mark.parametrize("name", [MINE, OTHER])
async def test_what_people_could_read_they_can_read(upgraded: Upgraded, name: str) -> None:
    changed = {}
    for path, before in upgraded.then.said[name]["answers"].items():
        answer = await upgraded.clinics[name].ask("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        changed |= differences(before, answer.json(), path)
    # An upload that was open then has run out of time, where the sweep has come by already.
    assert set(changed.values()) <= {("open", "expired")}, changed


@pytest.mark.parametrize("name", [MINE, OTHER])
async def test_images_are_given_to_a_dicomweb_client_and_to_an_export(upgraded: Upgraded, name: str) -> None:
    clinic = upgraded.clinics[name]
    for row in upgraded.then.rows["instances"]:
        if row["facility_id"] != str(clinic.facility_id):
            continue
        facts = row["facts"]
        path = f"/dicomweb/studies/{facts['study_instance_uid']}/series/{facts['series_instance_uid']}"
        path += f"/instances/{row['sop_instance_uid']}"
        accept = {"Accept": 'multipart/related; type="application/dicom"'}
        answer = await clinic.http.get(path, headers=clinic.headers | accept)
        assert answer.status_code == 200, answer.text
        part = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
        assert dcmread(DicomBytesIO(part)).SOPInstanceUID == row["sop_instance_uid"]
        found = await clinic.http.get(f"{path}/metadata", headers=clinic.headers)
        assert found.json()[0]["00080018"]["Value"] == [row["sop_instance_uid"]]
    for study in upgraded.studies(name):
        assert (await clinic.ask("GET", f"/studies/{study['id']}/export")).content.startswith(b"PK")


@pytest.mark.parametrize("name", [MINE, OTHER])
async def test_what_a_facility_keeps_is_counted(upgraded: Upgraded, name: str) -> None:
    mine = upgraded.then.said[name]["facility_id"]
    studies, size = upgraded.used(name)
    assert upgraded.counted[mine] == (studies, size)
    uploads = [one for one in upgraded.then.rows["uploads"] if one["facility_id"] == mine]
    waiting = {one["id"] for one in uploads if one["state"] == "importing"}
    coming = sum(one["size"] for one in upgraded.then.rows["upload_files"] if one["upload_id"] in waiting)
    assert await upgraded.told(name) == (studies, size + coming)


async def test_each_facility_sees_its_own_rows_of_every_table_and_nobody_without_one_any(upgraded: Upgraded) -> None:
    tables = await upgraded.history.of_facilities()
    assert {"audit", "facility_keys", "instances", "outbox", "series", "studies", "upload_files"} <= set(tables)
    for table in tables:
        assert await upgraded.history.seen(table, "") == 0, table
        for clinic in upgraded.clinics.values():
            mine = str(clinic.facility_id)
            (row,) = await upgraded.history.sql(f"SELECT count(*) FROM {table} WHERE facility_id = $1", mine)
            assert await upgraded.history.seen(table, mine) == row["count"], table


async def test_nothing_of_one_facility_is_there_for_another(upgraded: Upgraded) -> None:
    for name, stranger in ((MINE, OTHER), (OTHER, MINE)):
        for path in upgraded.then.said[name]["answers"]:
            if path != "/studies":
                assert (await upgraded.clinics[stranger].ask("GET", path)).status_code == 404, path


async def test_a_reference_is_opened_by_the_key_it_was_sealed_with(upgraded: Upgraded) -> None:
    clinic = upgraded.clinics[MINE]
    (upload,) = (one for one in upgraded.then.rows["uploads"] if one["priority"] == 0)
    doctor = clinic.tokens.headers(clinic.facility_id, Role.MEMBER, scopes=frozenset({Scope.IDENTITY}))
    answer = await clinic.ask("GET", f"/uploads/{upload['id']}/reference", headers=doctor)
    assert answer.json() == {"reference": "ward 7"}


async def test_what_waited_is_imported_and_what_is_erased_is_counted_no_more(
    upgraded: Upgraded, children: Children
) -> None:
    clinic = upgraded.clinics[MINE]
    hands = Hands(
        clinic.ingest.db,
        Importer(clinic.ingest.settings, clinic.ingest.db, clinic.ingest.storage, children),
        clinic,
    )
    upload = await hands.run()
    shown = await clinic.show({"id": upload.id})
    assert (shown["state"], len(shown["studies"])) == ("done", 1)
    assert (await upgraded.told(MINE))[0] == upgraded.used(MINE)[0] + 1
    for study in (await clinic.ask("GET", "/studies")).json()["items"]:
        headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN)
        assert (await clinic.ask("DELETE", f"/studies/{study['id']}", headers=headers)).status_code == 202
    assert await upgraded.told(MINE) == (0, 0)
