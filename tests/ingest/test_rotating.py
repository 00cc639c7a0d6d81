"""Facilities' keys get a new generation: nothing is lost, nobody is held up, and the old key opens nothing any more."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from codetect_ingest import depositing, rekeeping, resealing, rotating
from codetect_ingest.assembly import Assembler
from codetect_ingest.delivering import Deliverer
from codetect_ingest.erasing import finish
from codetect_ingest.identities import instance_owner
from codetect_ingest.keys import FIRST, LASTING, FacilityKey, Use, facility_key, generations, mark_of, rewrap
from codetect_ingest.rekeeping import Rekeeping
from codetect_ingest.resealing import ROOTS, Resealing
from codetect_ingest.retention import retain
from codetect_ingest.rotating import Rotation, rotate
from codetect_shared.audit import AuditUnavailable
from codetect_shared.db import uuid7
from codetect_shared.events import FacilityOpened
from codetect_shared.sealing import MasterKey
from codetect_shared.tokens import Role
from cryptography.exceptions import InvalidTag

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.dicomweb import Web, parts
from tests.ingest.lives import actions, asking, change_settings
from tests.ingest.samples import written
from tests.ingest.test_delivering import Archive, analysed, archive, deliverer, register, take
from tests.ingest.test_facilities import tell
from tests.ingest.test_importer import bodies, slices
from tests.ingest.test_kept import mr, scout_of, wants
from tests.ingest.test_stow import multipart, store

__all__ = ["archive", "deliverer"]
KEPT = (
    "SELECT i.key FROM instances i JOIN series s ON s.id = i.series_id WHERE s.kind = 'sealed' AND i.facility_id = :f"
)


async def run(clinic: Clinic, grace_s: float = 0) -> str:
    """Rotate the clinic's key; what is said of it."""
    ingest = clinic.ingest
    said = await rotate(ingest.db, ingest.storage, ingest.settings.master_key, [clinic.facility_id], grace_s)
    return said[clinic.facility_id]


async def whole(clinic: Clinic) -> None:
    assert (await run(clinic)).startswith("has a new key")


async def reference(clinic: Clinic, upload_id: str) -> str:
    """What an upload's sender called it, as a doctor sees it."""
    doctor = asking(clinic, Role.MEMBER, "identity")
    answer = await clinic.ask("GET", f"/uploads/{upload_id}/reference", headers=doctor)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["reference"])


def rotation(clinic: Clinic) -> Rotation:
    ingest = clinic.ingest
    return Rotation(ingest.db, ingest.storage, ingest.settings.master_key, clinic.facility_id)


async def known(clinic: Clinic) -> dict[int, bytes]:
    """What the facility's rows hold, by generation."""
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        return await generations(session, clinic.facility_id, clinic.ingest.settings.master_key)


async def key_now(clinic: Clinic) -> FacilityKey:
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        return await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)


async def sealed(clinic: Clinic) -> list[tuple[Use, bytes, UUID | str]]:
    """Everything that is sealed of the facility: what for, the sealed bytes, whose."""
    found: list[tuple[Use, bytes, UUID | str]] = []
    for places in ROOTS.values():
        for place in places:
            table, column = place.table.__tablename__, place.column.key
            rows = await clinic.sql(
                f"SELECT *, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL AND facility_id = :f",  # noqa: S608
                f=clinic.facility_id,
            )
            found += [(place.use, row.sealed, place.owner(row)) for row in rows]
    for row in await clinic.sql(KEPT.replace("i.key", "i.*"), f=clinic.facility_id):
        data = await clinic.ingest.storage.get("studies", row.key)
        assert len(data) == row.length
        found.append((Use.FILES, data, instance_owner(row.series_id, row.sop_instance_uid)))
    return found


def opens(key: FacilityKey, one: tuple[Use, bytes, UUID | str]) -> bool:
    try:
        key.reseal(*one)
    except InvalidTag:
        return False
    return True


class House:
    """A facility with something sealed at every level and in every way, and all that its people see of it."""

    def __init__(self, web: Web, hands: Hands, archive: Archive) -> None:
        self.web, self.clinic, self.hands, self.archive = web, web.clinic, hands, archive
        self.upload: dict[str, Any] = {}
        self.uids: list[str] = []

    async def fill(self) -> None:
        await wants(self.clinic)
        assert (await register(self.clinic, self.archive)).status_code == 201
        series, _ = await analysed(self.clinic, self.hands)
        more = slices(2)
        self.upload = await self.clinic.submit([*bodies(more), written(scout_of(more))], reference="ward 7")
        await self.hands.run()
        kept = mr()
        assert (await store(self.clinic, multipart([written(kept)]))).status_code == 200
        self.uids = [str(one.StudyInstanceUID) for one in (series[0], more[0], kept)]
        uses = [use for use, *_ in await sealed(self.clinic)]
        assert {use: uses.count(use) for use in Use} == {Use.TEXT: 2, Use.IDENTITIES: 3 + 4 + 7, Use.FILES: 2}

    async def seen(self) -> dict[str, Any]:
        """All that who may see identities sees, by address."""
        seeing, found = self.web.seeing_identities(), dict[str, Any]()
        for uid in self.uids:
            found[uid] = sorted(body for _, body in parts(await seeing.get(f"/studies/{uid}")))
            found[f"{uid}/metadata"] = (await seeing.get(f"/studies/{uid}/metadata")).json()
            (study,) = await seeing.found("/studies", StudyInstanceUID=uid, includefield="all")
            found[f"{uid} found"] = study
        found["by name"] = await seeing.found("/instances", PatientName="Mustermann*", includefield="all")
        ids = [str(id) for (id,) in await self.clinic.sql(OF_CLINIC, f=self.clinic.facility_id)]
        answer = await self.clinic.ask("POST", "/studies/identities", json={"ids": ids}, headers=seeing.headers)
        found["identities"] = answer.json()
        for id in ids:
            path = f"/studies/{id}/export?view=original"
            answer = await self.clinic.ask("GET", path, headers=asking(self.clinic, Role.MEMBER, "identity"))
            assert answer.status_code == 200
            found[f"{id} export"] = len(answer.content)
        found["reference"] = await reference(self.clinic, self.upload["id"])
        assert found["reference"] == "ward 7"
        return found

    async def delivered(self, deliverer: Deliverer) -> tuple[str, str, str]:
        """Deliver its result once more; the names it bears, and the credentials it comes with."""
        await self.clinic.sql(
            "UPDATE deliveries SET state = 'queued', available_at = now() WHERE facility_id = :f",
            f=self.clinic.facility_id,
        )
        await deliverer.run(await take(self.clinic))
        ds = self.archive.taken.pop()
        return str(ds.PatientName), str(ds.StudyInstanceUID), self.archive.authorizations.pop()


OF_CLINIC = "SELECT id FROM studies WHERE facility_id = :f ORDER BY id"


@pytest.fixture
async def house(web: Web, hands: Hands, archive: Archive) -> House:
    house = House(web, hands, archive)
    await house.fill()
    return house


def test_a_nonce_that_looks_like_a_mark_opens_all_the_same() -> None:
    key = FacilityKey(bytes(range(32)))
    by_chance = mark_of(2) + b"\0" * 4
    from codetect_ingest.keys import _cipher

    old = by_chance + _cipher(key.key, Use.TEXT).encrypt(by_chance, b"ward 7", b"me")
    assert key.unseal(old, "me") == "ward 7"
    newer = FacilityKey(bytes(32), 2, {FIRST: key.key})
    assert newer.unseal(old, "me") == "ward 7"
    assert newer.unseal(newer.seal("ward 8", "me"), "me") == "ward 8"
    assert newer.pseudonyms == key.pseudonyms
    assert newer.term("a") == key.term("a")
    with pytest.raises(InvalidTag):
        key.unseal(newer.seal("ward 8", "me"), "me")
    assert repr(newer) == "FacilityKey(generation=2)", "keys don't show"


async def test_every_column_that_holds_something_sealed_is_sealed_anew(clinic: Clinic) -> None:
    columns = await clinic.sql(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name LIKE 'sealed%'"
    )
    ours = {(place.table.__tablename__, place.column.key) for places in ROOTS.values() for place in places}
    assert {tuple(row) for row in columns} == ours


async def test_everything_is_seen_before_during_and_after_and_the_old_key_opens_nothing(
    house: House, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, number in ((resealing, "PAGE", 2), (resealing, "AT_ONCE", 2), (rekeeping, "PAGE", 1)):
        monkeypatch.setattr(module, name, number)
    clinic, other = house.clinic, house.clinic.elsewhere()
    theirs = await other.open(reference="elsewhere")
    foreign, foreign_keys = await sealed(other), await known(other)
    before, sent, old = await house.seen(), await house.delivered(deliverer), await key_now(clinic)
    assert set(await known(clinic)) == {FIRST}
    blobs = await sealed(clinic)
    assert all(opens(old, one) for one in blobs)

    work = rotation(clinic)
    assert await work.begin()
    assert set(await known(clinic)) == {LASTING, FIRST, 2}
    assert (await house.seen(), await house.delivered(deliverer)) == (before, sent)
    await work.seal_anew()
    assert (work.rows, work.files) == (16, 2)
    during = await sealed(clinic)
    assert len(during) == len(blobs)
    assert (await house.seen(), await house.delivered(deliverer)) == (before, sent)
    await work.destroy()
    assert (await house.seen(), await house.delivered(deliverer)) == (before, sent)

    now = await known(clinic)
    assert set(now) == {LASTING, 2}
    assert old.key not in now.values()
    assert len(now[LASTING]) == 64
    after = await sealed(clinic)
    assert not any(opens(old, one) for one in after)
    new = await key_now(clinic)
    assert all(opens(new, one) for one in after)
    for material in (now[LASTING][:32], now[LASTING][32:]):
        assert not any(opens(FacilityKey(material, g), one) for one in [*blobs, *after] for g in (FIRST, 2))
    objects = {key for key in await clinic.keys("studies") if ".sealed" in key}
    assert objects == {key for (key,) in await clinic.sql(KEPT, f=clinic.facility_id)}
    assert all(key.endswith(".sealed.2") for key in objects)
    assert (await key_now(clinic)).pseudonyms == old.pseudonyms
    assert [one for one in await actions(clinic) if one[0].startswith("facility-key")] == [
        ("facility-key.rotate", None),
        ("facility-key.destroy", None),
    ]
    assert (await sealed(other), await known(other)) == (foreign, foreign_keys)
    assert await reference(other, theirs["id"]) == "elsewhere"

    ((usage,),) = await clinic.sql("SELECT bytes FROM facility_usage WHERE facility_id = :f", f=clinic.facility_id)
    ((size,),) = await clinic.sql("SELECT sum(length) FROM instances WHERE facility_id = :f", f=clinic.facility_id)
    assert usage == size
    await whole(clinic)
    assert set(await known(clinic)) == {LASTING, 3}
    assert (await known(clinic))[LASTING] == now[LASTING]
    assert await house.seen() == before


async def test_a_study_that_comes_after_joins_what_came_before(clinic: Clinic, hands: Hands) -> None:
    series = slices(3)
    await clinic.submit(bodies(series[:2]))
    await hands.run()
    await whole(clinic)
    await clinic.submit(bodies(series[2:]))
    await hands.run()
    ((instances,),) = await clinic.sql("SELECT instances FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    assert instances == 3
    key = await key_now(clinic)
    assert all(opens(FacilityKey(key.key, key.generation), one) for one in await sealed(clinic))


async def test_a_changed_master_key_wraps_every_generation(clinic: Clinic) -> None:
    await clinic.open(reference="ward 7")
    assert await rotation(clinic).begin()
    present, new = clinic.ingest.settings.master_key, bytes(range(32))
    async with clinic.ingest.db.system() as session:
        before = await generations(session, clinic.facility_id, present)
        assert await rewrap(session, MasterKey.of(new, [present])) >= 3
        assert await generations(session, clinic.facility_id, new) == before
        await session.rollback()


class Killed(Exception):
    """As if the process were gone."""


def dies(before: bool, original: Callable[..., Awaitable[Any]], when: Callable[..., bool]) -> Callable[..., Any]:
    """A function at which the process dies, before or after it is done."""

    async def dying(*args: Any, **rest: Any) -> Any:
        if not when(*args, **rest):
            return await original(*args, **rest)
        if not before:
            await original(*args, **rest)
        raise Killed

    return dying


def always(*_: Any, **__: Any) -> bool:
    return True


def of_instances(*args: Any) -> bool:
    return args[4].table.__tablename__ == "instances"


def destroying(*args: Any, **_: Any) -> bool:
    return "facility-key.destroy" in args


async def test_killed_anywhere_it_goes_on_when_called_again(
    house: House, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = house.clinic
    before, sent, storage = await house.seen(), await house.delivered(deliverer), clinic.ingest.storage
    points: list[tuple[Any, str, bool, Callable[..., bool]]] = [
        (rotating.audit, "record", True, always),  # nothing has begun
        (Rotation, "seal_anew", True, always),
        (Resealing, "_some", True, of_instances),
        (Resealing, "_some", False, of_instances),  # within the transaction
        (Resealing, "run", False, always),
        (storage, "put", True, always),
        (storage, "put", False, always),
        (rekeeping, "count", False, always),
        (Rekeeping, "_move", False, always),  # one of two
        (Rotation, "destroy", True, always),
        (storage, "remove", True, always),
        (storage, "remove", False, always),
        (rotating.audit, "record", False, destroying),
    ]
    generation = FIRST
    for place, name, earlier, when in points:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, dies(earlier, getattr(place, name), when))
            with pytest.raises(Killed):
                await run(clinic)
        generation += 1
        assert (await house.seen(), await house.delivered(deliverer)) == (before, sent), name
        await whole(clinic)
        assert set(await known(clinic)) == {LASTING, generation}, name
        key = await key_now(clinic)
        assert all(opens(key, one) for one in await sealed(clinic)), name
        objects = {key for key in await clinic.keys("studies") if ".sealed" in key}
        assert objects == {key for (key,) in await clinic.sql(KEPT, f=clinic.facility_id)}, name
    assert (await house.seen(), await house.delivered(deliverer)) == (before, sent)


@pytest.mark.parametrize("keeping", [True, False], ids=["with a kept file", "slices alone"])
async def test_an_import_whose_key_is_destroyed_meanwhile_seals_with_the_new_one(
    web: Web, hands: Hands, monkeypatch: pytest.MonkeyPatch, keeping: bool
) -> None:
    clinic = web.clinic
    await wants(clinic)
    series = slices(3)
    await clinic.submit(bodies(series[:2]))
    await hands.run()
    original, rotated = Assembler.assemble, []

    async def assemble(self: Assembler, *args: Any) -> Any:
        done = await original(self, *args)
        if not rotated:
            rotated.append(await run(clinic))
        return done

    monkeypatch.setattr(Assembler, "assemble", assemble)
    scout = written(scout_of(series))
    sent = [*bodies(series[2:]), *([scout] if keeping else [])]
    upload = await clinic.submit(sent, reference="ward 7")
    await hands.run()
    assert rotated == ["has a new key; sealed anew: 5 rows, 0 files."]
    assert [file["state"] for file in (await clinic.show(upload))["files"]] == ["accepted", "kept"][: len(sent)]
    key = await key_now(clinic)
    assert key.generation == 2
    assert all(opens(key, one) for one in await sealed(clinic))
    given = parts(await web.seeing_identities().get(f"/studies/{series[0].StudyInstanceUID}"))
    assert len(given) == 2 + len(sent)
    assert (scout in [body for _, body in given]) == keeping


async def test_a_file_that_a_request_keeps_while_the_key_changes_opens(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wants(clinic)
    original, rotated = depositing.write_kept, []

    async def write_kept(*args: Any) -> Any:
        found = await original(*args)
        if not rotated:
            rotated.append(await run(clinic))
        return found

    monkeypatch.setattr(depositing, "write_kept", write_kept)
    assert (await store(clinic, multipart([written(mr())]))).status_code == 200
    assert len(rotated) == 1
    key = await key_now(clinic)
    found = await sealed(clinic)
    assert [use for use, *_ in found].count(Use.FILES) == 1
    assert all(opens(key, one) for one in found)


async def test_a_rotation_waits_for_who_seals_and_holds_nobody_up(clinic: Clinic) -> None:
    upload = await clinic.open(reference="ward 7")
    work, db = rotation(clinic), clinic.ingest.db
    async with db.facility(clinic.facility_id) as session:
        key = await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)
        beginning = asyncio.create_task(work.begin())
        await asyncio.sleep(0.5)
        assert not beginning.done()
        async with asyncio.timeout(4):
            assert (await clinic.open(reference="ward 8"))["id"]
        assert not beginning.done()
        assert set(await known(clinic)) == {FIRST}
        fresh = key.seal("written late", UUID(upload["id"]))
        await session.execute(
            rotating.text("UPDATE uploads SET sealed_reference = :s WHERE id = :id"), {"s": fresh, "id": upload["id"]}
        )
    assert await beginning
    await work.seal_anew()
    await work.destroy()
    assert await reference(clinic, upload["id"]) == "written late"


async def test_what_somebody_has_locked_is_sealed_anew_a_moment_later(clinic: Clinic) -> None:
    upload = await clinic.open(reference="ward 7")
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        await session.execute(rotating.text("SELECT 1 FROM uploads WHERE id = :id FOR UPDATE"), {"id": upload["id"]})
        rotating_it = asyncio.create_task(run(clinic))
        await asyncio.sleep(1)
        assert not rotating_it.done()
        assert set(await known(clinic)) == {LASTING, FIRST, 2}
    assert await rotating_it == "has a new key; sealed anew: 1 rows, 0 files."


async def test_people_go_on_while_keys_change(web: Web) -> None:
    clinic, seeing, over = web.clinic, web.seeing_identities(), asyncio.Event()
    await wants(clinic)
    references: dict[str, str] = {}
    studies: list[str] = []

    async def write() -> None:
        while not over.is_set():
            await asyncio.sleep(0.05)
            text = f"ward {len(references)}"
            references[(await clinic.open(reference=text))["id"]] = text

    async def send() -> None:
        while not over.is_set():
            series = slices(2)
            answer = await store(clinic, multipart([*bodies(series), written(scout_of(series))]))
            assert answer.status_code == 200, answer.text
            studies.append(str(series[0].StudyInstanceUID))

    async def look() -> None:
        while not over.is_set():
            await asyncio.sleep(0.05)
            for upload_id, text in list(references.items())[-3:]:
                assert await reference(clinic, upload_id) == text
            for uid in studies[-2:]:
                given = await seeing.get(f"/studies/{uid}/metadata")
                assert given.status_code == 200, given.text
                assert len(await seeing.found("/instances", StudyInstanceUID=uid)) == 3

    async def change() -> None:
        while not studies or not references:
            await asyncio.sleep(0.05)
        for _ in range(2):
            assert (await run(clinic, grace_s=1.5)).startswith("has a new key")
        over.set()

    async with asyncio.TaskGroup() as group:
        for work in (write, send, look, change):
            group.create_task(work())
    assert set(await known(clinic)) == {LASTING, 3}
    key = await key_now(clinic)
    assert all(opens(key, one) for one in await sealed(clinic))
    for upload_id, text in list(references.items())[::20]:
        assert await reference(clinic, upload_id) == text
    for uid in studies[::5]:
        assert len(parts(await seeing.get(f"/studies/{uid}"))) == 3


def after_put(clinic: Clinic, patch: pytest.MonkeyPatch, then: Callable[[], Awaitable[Any]]) -> None:
    """Do something at the moment when a kept file lies sealed anew, and no row names it yet."""
    original = clinic.ingest.storage.put

    async def put(bucket: Any, key: str, *rest: Any) -> None:
        await original(bucket, key, *rest)
        await then()

    patch.setattr(clinic.ingest.storage, "put", put)


async def forgotten(clinic: Clinic) -> None:
    await change_settings(clinic, profile="forget")
    assert (await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))).status_code == 202
    await retain(clinic.ingest)


async def test_a_study_erased_or_forgotten_meanwhile_comes_not_back(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wants(clinic)

    async def erase() -> None:
        ((study_id,),) = await clinic.sql(OF_CLINIC, f=clinic.facility_id)
        assert (await clinic.ask("DELETE", f"/studies/{study_id}")).status_code == 202
        await finish(clinic.ingest)

    for then in (erase, lambda: forgotten(clinic)):
        await store(clinic, multipart([written(mr())]))
        with monkeypatch.context() as patch:
            after_put(clinic, patch, then)
            assert (await run(clinic)).endswith("0 files.")
        assert await clinic.keys("studies") == []
        assert await clinic.sql(KEPT, f=clinic.facility_id) == []


async def test_what_is_forgotten_between_the_steps_leaves_no_object(clinic: Clinic) -> None:
    await wants(clinic)
    await store(clinic, multipart([written(mr())]))
    work = rotation(clinic)
    await work.begin()
    await work.seal_anew()
    assert len([key for key in await clinic.keys("studies") if ".sealed" in key]) == 2
    await forgotten(clinic)
    assert await clinic.keys("studies") == []
    await work.destroy()


async def test_a_file_that_moves_while_it_is_forgotten_goes_in_the_next_round(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wants(clinic)
    await store(clinic, multipart([written(mr())]))
    original, moved = clinic.ingest.storage.remove, []

    async def remove(*args: Any) -> None:
        if not moved:
            moved.append(1)
            work = rotation(clinic)
            await work.begin()
            await work.seal_anew()
        await original(*args)

    monkeypatch.setattr(clinic.ingest.storage, "remove", remove)
    await forgotten(clinic)
    assert len(await clinic.sql(KEPT, f=clinic.facility_id)) == 1
    settings = (await clinic.ask("GET", "/ingest/settings")).json()
    assert settings["forgetting"] is True
    await retain(clinic.ingest)
    assert await clinic.sql(KEPT, f=clinic.facility_id) == []
    assert await clinic.keys("studies") == []
    await whole(clinic)


async def test_what_nothing_opens_keeps_the_old_key(clinic: Clinic) -> None:
    await wants(clinic)
    good, bad = await clinic.open(reference="ward 7"), await clinic.open(reference="ward 8")
    await clinic.sql("UPDATE uploads SET sealed_reference = '\\x00112233445566778899' WHERE id = :id", id=bad["id"])
    await store(clinic, multipart([written(mr())]))
    ((key,),) = await clinic.sql(KEPT, f=clinic.facility_id)
    body = await clinic.ingest.storage.get("studies", key)
    await clinic.ingest.storage.remove("studies", [key])
    said = await run(clinic)
    assert said.startswith("isn't done: ")
    assert f"uploads {bad['id']}" in said
    assert f"kept file {key}" in said
    assert set(await known(clinic)) == {LASTING, FIRST, 2}
    assert await reference(clinic, good["id"]) == "ward 7"
    await clinic.ingest.storage.put("studies", key, body)
    await clinic.sql("UPDATE uploads SET sealed_reference = NULL WHERE id = :id", id=bad["id"])
    assert await run(clinic) == "has a new key; sealed anew: 0 rows, 1 files."
    assert set(await known(clinic)) == {LASTING, 2}


async def test_one_command_at_a_time_and_none_for_who_has_no_key(clinic: Clinic) -> None:
    assert await run(clinic) == "has no key yet."
    await clinic.open(reference="ward 7")
    async with rotating.alone(clinic.ingest.db, [clinic.facility_id]) as ours:
        assert ours == [clinic.facility_id]
        assert (await run(clinic)).startswith("isn't done: Another command")
    await whole(clinic)


async def test_what_cant_be_written_down_isnt_done(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    await clinic.open(reference="ward 7")

    async def away(*_: Any, **__: Any) -> None:
        raise AuditUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(rotating.audit, "record", away)
        with pytest.raises(AuditUnavailable):
            await run(clinic)
    assert set(await known(clinic)) == {FIRST}


def command(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "codetect_ingest", "rotate-keys", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


async def test_the_command_is_killed_twice_and_goes_on(house: House) -> None:
    clinic = house.clinic
    slug = f"s{clinic.facility_id.hex}"
    await tell(clinic, FacilityOpened(facility_id=clinic.facility_id, slug=slug), 1)
    before, old = await house.seen(), await key_now(clinic)

    async def begun() -> bool:
        return 2 in await known(clinic)

    async def sealed_anew() -> bool:
        return all(blob.startswith(mark_of(2)) for _, blob, _ in await sealed(clinic))

    for reached in (begun, sealed_anew):
        process = command("--facility", slug, "--grace", "60")
        async with asyncio.timeout(60):
            while not await reached():
                assert process.poll() is None, process.communicate()
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.communicate)
        assert await house.seen() == before
    process = command("--facility", str(clinic.facility_id), "--grace", "0")
    out, err = await asyncio.to_thread(process.communicate)
    assert (process.returncode, out.splitlines()[0].partition(";")[0]) == (0, f"{clinic.facility_id} has a new key"), (
        err
    )
    assert set(await known(clinic)) == {LASTING, 2}
    assert not any(opens(old, one) for one in await sealed(clinic))
    assert await house.seen() == before


async def test_the_command_says_what_it_needs(clinic: Clinic, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        rotating.main([])
    assert "--facility --all" in capsys.readouterr().err
    async with clinic.ingest.db.system() as session:
        with pytest.raises(SystemExit, match="knows no facility 'nobody'"):
            await rotating.named(session, "nobody")


async def test_all_are_those_that_have_a_key(clinic: Clinic) -> None:
    other = clinic.elsewhere()
    for one in (clinic, other):
        await one.open(reference="ward 7")
    async with clinic.ingest.db.system() as session:
        everybody = await rotating.named(session, None)
    assert {clinic.facility_id, other.facility_id} <= set(everybody)
    assert uuid7() not in everybody
    assert len(everybody) == len(set(everybody))
