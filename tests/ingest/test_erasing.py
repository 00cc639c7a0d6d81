import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from codetect_ingest import erasing
from codetect_ingest.erasing import finish
from codetect_ingest.models import ASSEMBLIES
from codetect_ingest.retention import clockwork, retain
from codetect_ingest.sweep import sweep
from codetect_shared.audit import AuditUnavailable
from codetect_shared.outbox import outbox
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role
from sqlalchemy import func, select, text, update

from tests.infrastructure import Infrastructure
from tests.ingest.conftest import Clinic, Hands, new_uids
from tests.ingest.lives import actions, asking, change_settings, holding, keep_study, problem
from tests.ingest.test_importer import Away, bodies, received, slices

TABLES = ("studies", "series", "instances", "study_terms", "deliveries")


async def rows(clinic: Clinic, *tables: str) -> dict[str, int]:
    counts = {}
    for table in tables or TABLES:
        ((counts[table],),) = await clinic.sql(
            f"SELECT count(*) FROM {table} WHERE facility_id = :f", f=clinic.facility_id
        )
    return counts


async def erasure(clinic: Clinic, study_id: str) -> Any:
    (row,) = await clinic.sql("SELECT * FROM erasures WHERE study_id = :s", s=study_id)
    return row


async def pass_time(clinic: Clinic, hours: int) -> None:
    """Let time go by for what this clinic erased."""
    await clinic.sql(
        f"UPDATE erasures SET requested_at = requested_at - interval '{hours} hours',"
        f" emptied_at = emptied_at - interval '{hours} hours' WHERE facility_id = :f",
        f=clinic.facility_id,
    )


async def test_an_erased_study_is_gone_with_the_answer_and_its_objects_with_it(clinic: Clinic, hands: Hands) -> None:
    study_id, upload = await keep_study(clinic, hands)
    other, _ = await keep_study(clinic, hands)
    before = await rows(clinic)
    answer = await clinic.ask("DELETE", f"/studies/{study_id}")
    assert answer.status_code == 202
    assert answer.json()["study_id"] == study_id
    assert problem(await clinic.ask("GET", f"/studies/{study_id}")) == (404, "study-not-found")
    assert [s["id"] for s in (await clinic.ask("GET", "/studies")).json()["items"]] == [other]
    after = await rows(clinic)
    assert after == {table: count // 2 for table, count in before.items()}
    assert {UUID(key.split("/")[1]) for key in await clinic.keys("studies")} == {UUID(other)}
    shown = await clinic.show(upload)
    assert (shown["studies"], {file["study_id"] for file in shown["files"]}) == ([], {None})
    assert await actions(clinic) == [("study.erase", study_id)]
    (told,) = await clinic.events("study.erased")
    assert (told.subject, told.data) == (f"study/{study_id}", {"study_id": study_id})
    again = await clinic.ask("DELETE", f"/studies/{study_id}")
    assert (again.status_code, again.json()["requested_at"]) == (202, answer.json()["requested_at"])
    assert again.json()["emptied_at"]
    assert len(await clinic.events("study.erased")) == 1


async def test_an_uploads_reference_goes_with_its_last_study(clinic: Clinic, hands: Hands) -> None:
    one, other = slices(2), slices(3)
    upload = await clinic.submit(bodies(one, other), reference="CANARY reference")
    await hands.run()
    first, second = [study["study_id"] for study in (await clinic.show(upload))["studies"]]

    async def reference() -> bytes | None:
        return (await clinic.sql("SELECT sealed_reference FROM uploads WHERE id = :id", id=upload["id"]))[0][0]

    await clinic.ask("DELETE", f"/studies/{first}")
    assert await reference() is not None
    assert [study["study_id"] for study in (await clinic.show(upload))["studies"]] == [second]
    await clinic.ask("DELETE", f"/studies/{second}")
    assert await reference() is None


async def all_sent(clinic: Clinic) -> None:
    async with asyncio.timeout(20):
        while await clinic.sql("SELECT 1 FROM outbox WHERE facility_id = :f AND sent_at IS NULL", f=clinic.facility_id):
            await asyncio.sleep(0.1)


async def told(clinic: Clinic) -> str:
    return str(await clinic.sql("SELECT o::text FROM outbox o WHERE facility_id = :f", f=clinic.facility_id))


async def test_what_was_told_of_an_erased_study_leads_nowhere(clinic: Clinic, hands: Hands) -> None:
    study_id, upload = await keep_study(clinic, hands)
    (before,) = await received(clinic)
    await all_sent(clinic)
    await clinic.ask("DELETE", f"/studies/{study_id}")
    (after,) = await received(clinic)
    assert (after["study_instance_uid"], after["series"]) == ("", [])
    facts = {"version", "priority", "models", "upload_ms", "import_ms", "submitted_at"}
    assert {name: after[name] for name in facts} == {name: before[name] for name in facts}
    await all_sent(clinic)
    await finish(clinic.ingest)
    assert (await erasure(clinic, study_id)).events_key is None
    everything = await told(clinic)
    assert study_id not in everything
    assert before["study_instance_uid"] not in everything
    (imported,) = await clinic.events("upload.imported")
    assert imported.subject == f"upload/{upload['id']}"
    assert imported.data["studies"] == [(await received(clinic))[0]["study_id"]] != [study_id]


async def test_an_upload_forgets_one_of_its_studies(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(2), slices(2)))
    await hands.run()
    gone, stays = [study["study_id"] for study in (await clinic.show(upload))["studies"]]
    await clinic.ask("DELETE", f"/studies/{gone}")
    await all_sent(clinic)
    await finish(clinic.ingest)
    assert gone not in await told(clinic)
    (imported,) = await clinic.events("upload.imported")
    assert stays in imported.data["studies"]
    assert len([one for one in await received(clinic) if one["series"]]) == 1


async def test_what_is_not_sent_yet_goes_out_as_it_is_and_is_forgotten_later(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    where = text("type = 'codetect.study.received.v1' AND facility_id = :f").bindparams(f=clinic.facility_id)
    who, series = clockwork(clinic.facility_id), []
    async with clinic.ingest.db.system() as session:  # one transaction: the relay never sees it unsent
        await session.execute(update(outbox).where(where).values(sent_at=None))
        erased = await erasing.erase(session, who, UUID(study_id))
        series.append(len((await session.scalars(select(outbox.c.data).where(where))).one()["series"]))
        await session.execute(update(outbox).values(sent_at=func.now()).where(outbox.c.facility_id == who.facility_id))
        await erasing._forget_events(session, erased)
        series.append(len((await session.scalars(select(outbox.c.data).where(where))).one()["series"]))
    assert series == [1, 0]


async def test_nobody_elses_study_and_nobody_without_the_role(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    other = clinic.elsewhere()
    for method, path in (("DELETE", ""), ("PUT", "/legal-hold"), ("DELETE", "/legal-hold")):
        answer = await other.ask(method, f"/studies/{study_id}{path}", headers=asking(other))
        assert problem(answer) == (404, "study-not-found")
    for who in (asking(clinic, Role.VIEWER), asking(clinic, Role.API_CLIENT, "read")):
        assert (await clinic.ask("DELETE", f"/studies/{study_id}", headers=who)).status_code == 403
    assert (await clinic.ask("PUT", f"/studies/{study_id}/legal-hold")).status_code == 403
    assert (await rows(clinic, "studies"))["studies"] == 1
    assert (
        await clinic.ask("DELETE", f"/studies/{study_id}", headers=asking(clinic, Role.API_CLIENT, "write"))
    ).is_success


async def test_a_held_study_stays_until_the_hold_is_lifted(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    held = await clinic.ask("PUT", f"/studies/{study_id}/legal-hold", headers=asking(clinic))
    assert held.json()["legal_hold"] is True
    answer = await clinic.ask("DELETE", f"/studies/{study_id}")
    assert problem(answer) == (409, "under-legal-hold")
    assert "legal-hold" in answer.json()["detail"]
    await change_settings(clinic, retention_days=1)
    await clinic.sql("UPDATE studies SET created_at = created_at - interval '3 days' WHERE id = :s", s=study_id)
    await retain(clinic.ingest)
    assert (await clinic.ask("GET", f"/studies/{study_id}")).json()["expires_at"] is None
    await clinic.ask("DELETE", f"/studies/{study_id}/legal-hold", headers=asking(clinic))
    await retain(clinic.ingest)
    assert (await clinic.ask("GET", f"/studies/{study_id}")).status_code == 404
    assert [action for action, _ in await actions(clinic)] == [
        "study.hold", "settings.change", "study.release", "study.erase",
    ]  # fmt: skip


async def test_retention_erases_what_is_older_than_the_facility_keeps_it(clinic: Clinic, hands: Hands) -> None:
    old, _ = await keep_study(clinic, hands)
    young, _ = await keep_study(clinic, hands)
    await clinic.sql("UPDATE studies SET created_at = created_at - interval '31 days' WHERE id = :s", s=old)
    await retain(clinic.ingest)
    assert (await rows(clinic, "studies"))["studies"] == 2
    await change_settings(clinic, retention_days=30)
    shown = (await clinic.ask("GET", f"/studies/{young}")).json()
    kept = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert kept == timedelta(days=30)
    await retain(clinic.ingest)
    assert [s["id"] for s in (await clinic.ask("GET", "/studies")).json()["items"]] == [young]
    await finish(clinic.ingest)
    assert {UUID(key.split("/")[1]) for key in await clinic.keys("studies")} == {UUID(young)}
    ((role, detail),) = await clinic.sql(
        "SELECT subject, detail FROM audit WHERE facility_id = :f AND action = 'study.erase'", f=clinic.facility_id
    )
    assert (role, detail) == ("retention", {"why": "retention"})


async def test_what_a_late_importer_writes_goes_an_hour_later(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    await clinic.ask("DELETE", f"/studies/{study_id}")
    late = f"{clinic.facility_id}/{study_id}/late.1/pack"
    await clinic.ingest.storage.put("studies", late, b"late")
    await finish(clinic.ingest)
    assert await clinic.keys("studies") == [late]
    assert (await erasure(clinic, study_id)).done_at is None
    await pass_time(clinic, 2)
    await finish(clinic.ingest)
    assert await clinic.keys("studies") == []
    assert (await erasure(clinic, study_id)).done_at is not None


async def test_an_object_that_was_never_finished_goes_too(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    storage = clinic.ingest.storage
    name, client = storage.bucket("studies"), storage._client
    key = f"{clinic.facility_id}/{study_id}/killed.1/pack"
    unfinished = client._create_multipart_upload(name, key, {})
    client._upload_part(name, key, b"x" * (5 << 20), None, unfinished, 1)
    await clinic.ask("DELETE", f"/studies/{study_id}")
    left = client._list_multipart_uploads(name, prefix=f"{clinic.facility_id}/")
    assert left.uploads == []


async def test_while_the_store_is_away_an_erasure_waits_and_holds_up_nothing(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    ingest = clinic.ingest
    away = replace(ingest, storage=Away(ingest.storage, "erase"))
    async with ingest.db.facility(clinic.facility_id) as session:
        admin = erasing.Principal("somebody", clinic.facility_id, "demo", Role.ADMIN)
        await erasing.erase(session, admin, UUID(study_id))
    assert (await rows(clinic, "studies"))["studies"] == 0
    await finish(away)
    assert (await erasure(clinic, study_id)).emptied_at is None
    await finish(ingest)
    assert (await erasure(clinic, study_id)).emptied_at is not None
    assert await clinic.keys("studies") == []


class SomewhereAway(Away):
    """An object store that can't erase one prefix."""

    def __init__(self, storage: Any, prefix: str) -> None:
        super().__init__(storage, "erase")
        self._prefix = prefix

    async def erase(self, bucket: Any, prefix: str) -> int:
        if prefix.startswith(self._prefix):
            return await super().__getattr__("erase")()
        return await self._storage.erase(bucket, prefix)


async def test_one_prefix_that_fails_holds_up_no_other(clinic: Clinic, hands: Hands) -> None:
    for _ in range(3):
        upload = await clinic.submit(bodies(slices(1)))
        await hands.run()
        await clinic.ingest.storage.put("raw", f"{clinic.facility_id}/{upload['id']}/000009", b"late")
    earlier = "UPDATE uploads SET expires_at = expires_at - interval '1 hour' WHERE facility_id = :f"
    await clinic.sql(earlier, f=clinic.facility_id)
    ingest, stuck = clinic.ingest, f"{clinic.facility_id}/{upload['id']}/"
    await sweep(replace(ingest, storage=SomewhereAway(ingest.storage, stuck)))
    assert await clinic.keys("raw") == [f"{stuck}000009"]
    await sweep(ingest)
    assert await clinic.keys("raw") == []


async def test_a_crash_before_the_commit_leaves_everything(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    before, keys = await rows(clinic), await clinic.keys("studies")
    with pytest.raises(KeyboardInterrupt):
        async with clinic.ingest.db.facility(clinic.facility_id) as session:
            admin = erasing.Principal("somebody", clinic.facility_id, "demo", Role.ADMIN)
            await erasing.erase(session, admin, UUID(study_id))
            raise KeyboardInterrupt
    await finish(clinic.ingest)
    assert (await rows(clinic), await clinic.keys("studies")) == (before, keys)
    assert await clinic.events("study.erased") == []


async def test_a_study_that_waits_to_be_assembled_can_be_erased_under_the_assembler(
    clinic: Clinic, hands: Hands
) -> None:
    study_id, _ = await keep_study(clinic, hands)
    await clinic.sql("UPDATE studies SET available_at = now() WHERE id = :s", s=study_id)
    job = await claimed(ASSEMBLIES, clinic.ingest.db)
    await clinic.ask("DELETE", f"/studies/{study_id}")
    with pytest.raises(Exception, match="No row"):
        await hands.importer.assemble(job)
    assert (await rows(clinic))["studies"] == 0
    assert await clinic.keys("studies") == []


async def test_slices_that_come_after_the_erasing_make_a_new_study(clinic: Clinic, hands: Hands) -> None:
    uids = new_uids()
    first, _ = await keep_study(clinic, hands, **uids)
    await clinic.submit(bodies(slices(3, **uids)))
    job = await hands.take()
    await clinic.ask("DELETE", f"/studies/{first}")
    await hands.importer.run(job)
    (study,) = (await clinic.ask("GET", "/studies")).json()["items"]
    assert (study["id"] != first, study["instances"], study["version"]) == (True, 3, 1)
    assert {key.split("/")[1] for key in await clinic.keys("studies")} == {study["id"]}


async def test_ids_that_were_reserved_for_nothing_go_after_a_day(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    await clinic.sql(
        "INSERT INTO studies (id, facility_id, study_instance_uid, patient_id, version, created_at, updated_at)"
        " SELECT gen_random_uuid(), facility_id, 'x' || n, 'p', 0, now() - n * interval '25 hours', now()"
        " FROM studies, generate_series(0, 1) n WHERE id = :s",
        s=study_id,
    )
    await sweep(clinic.ingest)
    left = await clinic.sql("SELECT study_instance_uid FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    assert "x0" in {row[0] for row in left}
    assert "x1" not in {row[0] for row in left}
    assert len(left) == 2


async def test_no_byte_of_an_erased_image_stays_on_the_stores_disk(
    clinic: Clinic, hands: Hands, infra: Infrastructure
) -> None:
    """Objects are encrypted at rest: what is sought is what the disk holds of the pack, as it was written there."""
    if infra.storage_folder is None:
        pytest.skip("the object store isn't this session's own: its disk can't be looked at")
    disk = infra.storage_folder
    keeper, _ = await keep_study(clinic, hands)
    sizes = {path: path.stat().st_size for path in disk.rglob("*.dat")}
    study_id, _ = await keep_study(clinic, hands, count=20)
    pieces = []
    for path in disk.rglob("*.dat"):
        body = path.read_bytes()[sizes.get(path, 0) :] if "studies" in path.name else b""
        pieces += [body[at : at + 48] for at in range(100, len(body) - 48, 999)]
    assert len(pieces) > 20
    assert all(holding(disk, piece) for piece in pieces)
    assert holding(disk, b"CANARY") == []
    await clinic.ask("DELETE", f"/studies/{study_id}")
    async with asyncio.timeout(60):
        while any(holding(disk, piece) for piece in pieces):
            await pass_time(clinic, 1)
            await clinic.sql("UPDATE erasures SET reclaimed_at = NULL WHERE facility_id = :f", f=clinic.facility_id)
            await finish(clinic.ingest)
            await asyncio.sleep(1)
    assert (await erasure(clinic, study_id)).reclaimed_at is not None
    exported = await clinic.ask("GET", f"/studies/{keeper}")
    assert exported.json()["instances"] == 2
    kept = [await clinic.ingest.storage.get("studies", key) for key in await clinic.keys("studies")]
    assert all(kept)


async def test_without_an_audit_row_nothing_is_erased(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        admin = erasing.Principal("x\0", clinic.facility_id, "demo", Role.ADMIN)  # what no column takes
        with pytest.raises(AuditUnavailable):
            await erasing.erase(session, admin, UUID(study_id))
        await session.rollback()
    assert (await rows(clinic, "studies"))["studies"] == 1
