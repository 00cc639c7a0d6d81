"""Reading ahead: files are read while they arrive, and what came of it is used only where it still holds."""

import asyncio
import hashlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from codetect_ingest import ahead as reading
from codetect_ingest import filing
from codetect_ingest.ahead import Ahead, Shelf
from codetect_ingest.children import Children
from codetect_ingest.importer import Importer, give_up
from codetect_ingest.models import UPLOADS, Upload
from codetect_ingest.settings import Settings
from codetect_shared.jobs import Worker
from codetect_shared.storage import Storage
from codetect_shared.testing import claimed
from pydicom.uid import generate_uid

from tests.ingest.conftest import Clinic
from tests.ingest.samples import ct, written
from tests.ingest.test_importer import bodies, scratch, slices
from tests.ingest.test_process import finished, port, process

__all__ = ["port"]
HEAD_START_S = 2
MR = "1.2.840.10008.5.1.4.1.1.4"


class Counting:
    """An object store that counts what is fetched of it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.fetched: Counter[str] = Counter()
        self.listed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def list(self, bucket: Any, prefix: str, **rest: Any) -> list[Any]:
        self.listed += bucket == "raw"
        return list(await self._storage.list(bucket, prefix, **rest))

    async def get(self, bucket: Any, key: str, **rest: Any) -> bytes:
        body = await self._storage.get(bucket, key, **rest)
        if bucket == "raw":
            self.fetched[key[-6:]] += 1
        return body


class House:
    """An importer that reads ahead when a test says so, and works no queue."""

    def __init__(self, settings: Settings, clinic: Clinic, children: Children) -> None:
        self.clinic, self.settings = clinic, settings
        self.storage: Any = Counting(clinic.ingest.storage)
        shelf = Shelf()
        db = clinic.ingest.db
        self.importer = Importer(settings, db, self.storage, children, shelf)
        self.worker = Worker(UPLOADS, db, settings.rabbitmq_url, self.importer.run, give_up)
        self.ahead = Ahead(settings, db, self.storage, children, shelf, self.worker)

    async def follow(self, upload: Mapping[str, Any], *, again: bool = False) -> Upload | None:
        """Read ahead, and import when it is ours to import."""
        async with self.ahead.followed(UUID(upload["id"]), again=again) as job:
            if job:
                await self.worker.work(job)
            return job

    @asynccontextmanager
    async def following(
        self, upload: Mapping[str, Any], *, again: bool = False
    ) -> AsyncIterator["asyncio.Task[Upload | None]"]:
        """Meanwhile, read ahead; at the end it has to come to its end by itself."""
        task = asyncio.create_task(self.follow(upload, again=again))
        try:
            yield task
            async with asyncio.timeout(30):
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def bring(self, upload: dict[str, Any], files: Mapping[int, bytes]) -> None:
        """Post files, and wait until these have been fetched, and none besides."""
        await self.clinic.post(upload, files)
        await self.has_read(*files)

    async def has_read(self, *numbers: int) -> None:
        """Wait until these files have been fetched, and none besides."""
        async with asyncio.timeout(20):
            while set(self.storage.fetched) != {f"{number:06}" for number in numbers}:
                await asyncio.sleep(0.02)


@pytest.fixture
async def quiet(clinic: Clinic) -> None:
    """No other upload is open: looks for those of other tests still lie in the queue."""
    await clinic.sql("UPDATE uploads SET state = 'expired' WHERE state = 'open'")


@pytest.fixture
def house(settings: Settings, clinic: Clinic, children: Children) -> House:
    return House(settings, clinic, children)


async def others(clinic: Clinic, wanted: str) -> None:
    """Say what becomes of files that aren't CT."""
    await clinic.sql(
        "INSERT INTO facility_settings (facility_id, profile, others, quiet_s, forgetting)"
        " VALUES (:f, 'seal', :o, 30, false) ON CONFLICT (facility_id) DO UPDATE SET others = :o",
        f=clinic.facility_id,
        o=wanted,
    )


async def test_files_are_read_as_they_arrive_and_once(clinic: Clinic, house: House) -> None:
    files = dict(enumerate([*bodies(slices(3)), b"no DICOM"], 1))
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, {1: files[1]})
        await house.has_read(1)
        await clinic.post(upload, {n: files[n] for n in (4, 2, 3)})
        await house.has_read(1, 2, 3, 4)
        assert (await clinic.show(upload))["state"] == "open"
        await clinic.complete(upload, files)
    assert set(house.storage.fetched.values()) == {1}
    shown = await clinic.show(upload)
    assert (shown["state"], shown["files_done"], shown["studies"][0]["instances"]) == ("done", 4, 3)
    assert [(f["state"], f["code"]) for f in shown["files"]] == [("accepted", None)] * 3 + [("refused", "not_dicom")]
    assert scratch() == []


async def test_it_comes_to_the_same_as_without(clinic: Clinic, house: House) -> None:
    files = dict(enumerate(bodies(slices(4)), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, files)
        await house.has_read(1, 2, 3, 4)
        await clinic.complete(upload, files)
    again = await clinic.submit(files.values())
    await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
    events = [event.data for event in await clinic.events("study.received")]
    first, second = ([series["volume_sha256"] for series in event["series"]] for event in events)
    assert first == second
    reports = [
        dict(await clinic.sql("SELECT number, report FROM upload_files WHERE upload_id = :u", u=u))
        for u in (upload["id"], again["id"])
    ]
    assert reports[0] == reports[1]
    assert set(reports[0]) == {1, 2, 3, 4}


async def test_a_file_that_was_replaced_is_read_again_once_it_is_frozen(clinic: Clinic, house: House) -> None:
    """Not before: what waits to be packed must not change under the packer."""
    (first, second), (other, _) = slices(2), slices(2)
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, {2: written(other)})
        await house.has_read(2)
        await clinic.post(upload, {2: written(second)})
        await clinic.post(upload, {1: written(first)})
        await house.has_read(1, 2)
        assert house.storage.fetched["000002"] == 1
        await clinic.complete(upload, {1: written(first), 2: written(second)})
    (study,) = (await clinic.show(upload))["studies"]
    assert study["instances"] == 2
    assert house.storage.fetched == {"000001": 1, "000002": 2}


@pytest.mark.usefixtures("small_packs")
async def test_a_file_that_comes_in_two_versions_is_never_packed_as_the_other(clinic: Clinic, house: House) -> None:
    """One that waits for its pack is posted anew, as another patient's, and then as it was."""
    (one, two, three), (strange,) = slices(3), slices(1)
    files = {2: written(one), 3: written(two), 4: written(three)}
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, {2: files[2]})
        await house.has_read(2)
        await clinic.post(upload, {2: written(strange)})
        await asyncio.sleep(0.5)
        await clinic.post(upload, {3: files[3], 4: files[4]})
        await house.has_read(2, 3, 4)
        await packed_early(clinic)
        await clinic.post(upload, {2: files[2]})
        await clinic.complete(upload, files)
    assert [study["instances"] for study in (await clinic.show(upload))["studies"]] == [3]
    assert await all_in_its_place(clinic)


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("how", ["replaced", "abandoned"])
async def test_a_patient_that_was_wrong_at_first_settles_nothing(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Only what stays says whose study it is."""
    series = slices(4)
    right = dict(enumerate(bodies(series), 1))
    for one in series:
        one.PatientID = "wrong"
    wrong = dict(enumerate(bodies(series), 1))
    upload = await clinic.open()
    if how == "abandoned":
        monkeypatch.setattr(reading, "PATIENCE_S", 1)
    async with house.following(upload):
        await clinic.post(upload, wrong)
        await house.has_read(*wrong)
        await packed_early(clinic)
        if how == "replaced":
            await clinic.post(upload, right)
            await clinic.complete(upload, right)
    if how == "abandoned":
        upload = await clinic.submit(right.values())
        await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
    shown = await clinic.show(upload)
    assert {f["state"] for f in shown["files"]} == {"accepted"}
    assert await all_in_its_place(clinic)
    studies = await clinic.sql(
        "SELECT patient_id, study_date FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    assert [len(patient) for patient, _ in studies] == [20]
    assert studies[0][1]


async def test_what_facilities_wish_otherwise_meanwhile_counts(clinic: Clinic, house: House) -> None:
    """A file to be kept is kept as it was read; once others are refused, nothing that was read before is used."""
    for wish, state in (("keep", "kept"), ("refuse", "refused")):
        await others(clinic, "keep")
        house.storage.fetched.clear()
        files = {
            1: written(slices(1)[0]),
            2: written(ct(SOPClassUID=MR, Modality="MR", SOPInstanceUID=f"1.2.{len(wish)}")),
        }
        upload = await clinic.open()
        async with house.following(upload):
            await clinic.post(upload, files)
            await house.has_read(1, 2)
            await others(clinic, wish)
            await clinic.complete(upload, files)
        assert [f["state"] for f in (await clinic.show(upload))["files"]] == ["accepted", state]
        assert set(house.storage.fetched.values()) == {1 if wish == "keep" else 2}


async def test_who_has_read_comes_first_but_only_for_a_moment(clinic: Clinic, house: House) -> None:
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    held = await UPLOADS.hold(clinic.ingest.db, UUID(upload["id"]), reading.OPEN)
    assert held is not None
    assert await UPLOADS.take(clinic.ingest.db, held) is None  # it isn't due
    assert await house.follow(upload) is None  # somebody else reads it
    await clinic.post(upload, files)
    await clinic.complete(upload, files)
    assert await UPLOADS.claim(clinic.ingest.db) is None
    ((left,),) = await clinic.sql(
        "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM uploads WHERE id = :u", u=upload["id"]
    )
    assert 0 < left <= HEAD_START_S
    await asyncio.sleep(float(left))
    job = await claimed(UPLOADS, clinic.ingest.db)
    assert (str(job.id), job.attempts) == (upload["id"], 1)
    assert await UPLOADS.take(clinic.ingest.db, held) is None  # too late
    await house.importer.run(job)
    assert (await clinic.show(upload))["state"] == "done"


async def test_a_client_that_is_gone_holds_up_nothing(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE_S", 0.3)
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    await clinic.post(upload, files)
    assert await house.follow(upload) is None
    assert house.storage.fetched == {"000001": 1}
    assert scratch() == []
    await clinic.complete(upload, files)
    await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))  # at once
    assert (await clinic.show(upload))["state"] == "done"
    assert await house.follow(upload) is None  # a look that comes late


async def test_it_is_asked_for_again_when_a_client_comes_back(clinic: Clinic) -> None:
    upload = await clinic.open()
    asked = "SELECT count(*) FROM outbox WHERE queue = 'ingest.reading' AND subject = :u"
    assert await clinic.sql(asked, u=upload["id"]) == [(1,)]
    assert (await clinic.ask("POST", f"/uploads/{upload['id']}/renew")).is_success
    assert await clinic.sql(asked, u=upload["id"]) == [(2,)]


async def test_only_so_much_is_read_ahead(clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read then waits for the upload to be completed, however long, and nobody lists it again and again."""
    monkeypatch.setattr(reading, "PATIENCE_S", 0.5)
    monkeypatch.setattr(house.settings, "read_ahead_bytes", 1)
    files = dict(enumerate(bodies(slices(5)), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, files)
        await asyncio.sleep(2)
        assert 1 <= len(house.storage.fetched) <= 2  # each hand had one
        listed = house.storage.listed
        await asyncio.sleep(1)
        assert house.storage.listed == listed
        await clinic.complete(upload, files)
    assert (await clinic.show(upload))["studies"][0]["instances"] == 5
    assert set(house.storage.fetched.values()) == {1}


async def test_jobs_that_somebody_waits_for_go_first(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.worker, "_in_hand", 1)
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await clinic.post(upload, files)
        await asyncio.sleep(0.6)
        await house.has_read()
        monkeypatch.setattr(house.worker, "_in_hand", 0)
        await house.has_read(1)
        await clinic.complete(upload, files)
    assert (await clinic.show(upload))["state"] == "done"


async def test_a_full_disk_costs_the_reading_alone(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("codetect_ingest.intake.Reader._take", full)
        await clinic.post(upload, files)
        assert await house.follow(upload) is None
    assert scratch() == []
    await clinic.complete(upload, files)
    await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
    assert (await clinic.show(upload))["state"] == "done"


async def test_a_study_that_is_nobodys_is_named_by_whoever_brings_it(clinic: Clinic) -> None:
    """Also by one that found none, and had to wait for the other to reserve it."""
    uid = generate_uid()
    one: Any = SimpleNamespace(
        study_instance_uid=uid, series_instance_uid="1.2", sop_instance_uid="1.3", patient_id="A" * 20, study_date=None
    )
    db, here = clinic.ingest.db, clinic.facility_id

    async def bring() -> str:
        async with db.facility(here) as session:
            return (await filing.reserve_studies(session, here, [one], whole=False))[uid].patient_id

    async with db.facility(here) as session:
        assert (await filing.reserve_nameless(session, here, one)).patient_id == filing.NOBODY
        bringing = asyncio.create_task(bring())
        await asyncio.sleep(0.5)
        assert not bringing.done()
    assert await bringing == one.patient_id
    async with db.facility(here) as session:
        assert (await filing.reserve_nameless(session, here, one)).patient_id == one.patient_id


async def test_who_was_taken_for_dead_keeps_nobody_from_it(clinic: Clinic, house: House) -> None:
    """A follower that finds another lease than its own lets go of nothing, and claims nothing that is open."""
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    async with house.following(upload) as following:
        await clinic.post(upload, files)
        await house.has_read(1)
        await clinic.sql(
            "UPDATE uploads SET lease_until = clock_timestamp() + interval '60 seconds' WHERE id = :u", u=upload["id"]
        )
        async with asyncio.timeout(reading.RENEW_S + 5):
            assert await asyncio.shield(following) is None
    ((left,),) = await clinic.sql(
        "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM uploads WHERE id = :u", u=upload["id"]
    )
    assert left > HEAD_START_S


async def test_one_that_died_over_it_is_followed_by_another(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UPLOADS, "lease_s", 1.5)
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    assert await UPLOADS.hold(clinic.ingest.db, UUID(upload["id"]), reading.OPEN)
    async with house.following(upload, again=True):
        await clinic.post(upload, files)
        await house.has_read(1)
        await clinic.complete(upload, files)
    assert house.storage.fetched == {"000001": 1}


async def test_an_importer_that_stops_leaves_the_upload_to_another(clinic: Clinic, house: House) -> None:
    files = dict(enumerate(bodies(slices(1)), 1))
    upload = await clinic.open()
    async with house.following(upload) as following:
        await clinic.post(upload, files)
        await house.has_read(1)
        house.worker._stopping.set()
    assert following.result() is None
    other = House(house.settings, clinic, house.importer._children)
    async with other.following(upload):
        await other.has_read(1)
        await clinic.complete(upload, files)
    assert (await clinic.show(upload))["state"] == "done"
    assert other.storage.fetched == {"000001": 1}


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of our small slices fill a pack."""
    monkeypatch.setattr("codetect_ingest.packing.PACK_BYTES", 4000)


async def packed(clinic: Clinic, *, early: bool) -> bool:
    """Whether packs lie in the store that were written before their upload was claimed, or after it."""
    return any((".early-" in key) is early and key.endswith(".pack") for key in await clinic.keys("studies"))


async def packed_early(clinic: Clinic) -> None:
    """Wait until a pack lies there."""
    async with asyncio.timeout(10):
        while not await packed(clinic, early=True):
            await asyncio.sleep(0.02)


async def all_in_its_place(clinic: Clinic) -> bool:
    """Every row's bytes are what it says, and no pack lies there that no row names."""
    rows = await clinic.sql(
        "SELECT key, \"offset\", length, facts ->> 'sha256' FROM instances WHERE facility_id = :f", f=clinic.facility_id
    )
    for key, offset, length, sha256 in rows:
        body = await clinic.ingest.storage.get("studies", key, part=(offset, length))
        assert hashlib.sha256(body).hexdigest() == sha256
    named = {key for key, *_ in rows}
    return named == {key for key in await clinic.keys("studies") if key.endswith(".pack")}


@pytest.mark.usefixtures("small_packs")
async def test_packs_are_written_as_they_fill_and_used(clinic: Clinic, house: House) -> None:
    files = dict(enumerate(bodies(slices(5), slices(2)), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await house.bring(upload, files)
        await packed_early(clinic)
        await clinic.complete(upload, files)
    shown = await clinic.show(upload)
    assert [study["instances"] for study in shown["studies"]] in ([5, 2], [2, 5])
    assert (await packed(clinic, early=True), await packed(clinic, early=False)) == (True, True)
    assert await all_in_its_place(clinic)


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("why", ["replaced", "odd", "patients"])
async def test_a_pack_with_something_that_may_not_stay_goes(clinic: Clinic, house: House, why: str) -> None:
    """Another version of a file, a slice that doesn't fit its series, and a study of two patients."""
    series = slices(4)
    files = dict(enumerate(bodies(series), 1))
    upload = await clinic.open()
    if why == "odd":
        series[3].Rows, series[3].Columns = 8, 32
        files[4] = written(series[3])
    if why == "patients":
        series[3].PatientID = "another"
        files[4] = written(series[3])
    async with house.following(upload):
        await house.bring(upload, files)
        await packed_early(clinic)
        if why == "replaced":
            series[0].PixelData = bytes(len(series[0].PixelData))
            series[3].PixelData = bytes(len(series[3].PixelData))
            files |= {1: written(series[0]), 4: written(series[3])}
            await clinic.post(upload, {1: files[1], 4: files[4]})
        await clinic.complete(upload, files)
    shown = await clinic.show(upload)
    accepted = [f["number"] for f in shown["files"] if f["state"] == "accepted"]
    assert len(accepted) == {"replaced": 4, "odd": 3, "patients": 0}[why]
    assert await all_in_its_place(clinic)


@pytest.mark.usefixtures("small_packs")
async def test_nothing_stays_of_an_upload_that_is_never_completed(
    clinic: Clinic, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE_S", 1)
    upload = await clinic.open()
    files = dict(enumerate(bodies(slices(4)), 1))
    async with house.following(upload):
        await house.bring(upload, files)
        await packed_early(clinic)
    assert await clinic.keys("studies") == []


@pytest.mark.usefixtures("small_packs")
async def test_a_study_that_is_known_is_packed_once_it_is_completed(clinic: Clinic, house: House) -> None:
    series = slices(6)
    await clinic.submit(bodies(series[:2]))
    await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
    files = dict(enumerate(bodies(series[2:]), 1))
    upload = await clinic.open()
    house.storage.fetched.clear()
    async with house.following(upload):
        await house.bring(upload, files)
        await clinic.complete(upload, files)
    (study,) = (await clinic.show(upload))["studies"]
    assert (study["version"], study["instances"]) == (2, 4)
    assert not await packed(clinic, early=True)
    assert await all_in_its_place(clinic)


@pytest.mark.usefixtures("small_packs")
@pytest.mark.parametrize("refused", [False, True])
async def test_what_a_killed_importer_packed_goes_with_the_next_try(
    clinic: Clinic, house: House, *, refused: bool
) -> None:
    """Also below a study that is refused, since it is of two patients."""
    series = slices(5)
    files = dict(enumerate(bodies(series[:4]), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await house.bring(upload, files)
        await packed_early(clinic)
        house.storage.remove = nowhere  # as if there were no time to tidy up
        house.worker._stopping.set()
    del house.storage.remove
    assert await packed(clinic, early=True)
    if refused:
        series[4].PatientID = "another"
        await clinic.post(upload, {5: written(series[4])})
        files[5] = written(series[4])
    await clinic.complete(upload, files)
    await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
    assert [study["instances"] for study in (await clinic.show(upload))["studies"]] == ([] if refused else [4])
    assert not await packed(clinic, early=True)
    assert await all_in_its_place(clinic)


async def nowhere(*_: object) -> None:
    """Remove nothing."""


@pytest.mark.usefixtures("small_packs")
async def test_a_study_that_was_erased_meanwhile_takes_nothing_along(clinic: Clinic, house: House) -> None:
    series = slices(4)
    files = dict(enumerate(bodies(series), 1))
    upload = await clinic.open()
    async with house.following(upload):
        await house.bring(upload, files)
        await packed_early(clinic)
        await clinic.submit(bodies(series[:1]))
        await house.importer.run(await claimed(UPLOADS, clinic.ingest.db))
        ((before,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
        answer = await clinic.ask("DELETE", f"/studies/{before}")
        assert answer.is_success, answer.text
        await clinic.complete(upload, files)
    (study,) = (await clinic.show(upload))["studies"]
    assert (study["study_id"] != str(before), study["instances"]) == (True, 4)
    assert await all_in_its_place(clinic)


@pytest.mark.usefixtures("quiet")
async def test_an_importer_killed_while_it_reads_ahead_loses_nothing(
    clinic: Clinic, environment: Mapping[str, str], port: int
) -> None:
    files = dict(enumerate(bodies(slices(3)), 1))
    reading = "SELECT lease_until > clock_timestamp() FROM uploads WHERE id = :u"
    async with process(environment, port) as first:
        upload = await clinic.open()
        await clinic.post(upload, files)
        async with asyncio.timeout(20):
            while await clinic.sql(reading, u=upload["id"]) != [(True,)]:
                await asyncio.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait(5)
    async with process(environment, port):
        assert (await clinic.complete(upload, files)).status_code == 202
        shown = await finished(clinic, upload, within_s=30)
    assert (shown["state"], shown["studies"][0]["instances"]) == ("done", 3)
    assert len(await clinic.events("study.received")) == 1


@pytest.mark.usefixtures("quiet")
async def test_a_process_imports_what_it_read_at_once(
    clinic: Clinic, environment: Mapping[str, str], port: int
) -> None:
    """Through the broker, and without waiting for the head start to be over."""
    files = dict(enumerate(bodies(slices(3)), 1))
    async with process(environment, port):
        await finished(clinic, await clinic.submit(bodies(slices(1))))
        upload = await clinic.open()
        await clinic.post(upload, files)
        await asyncio.sleep(1)
        await clinic.complete(upload, files)
        shown = await finished(clinic, upload)
    assert shown["state"] == "done"
    ((took_s, attempts),) = await clinic.sql(
        "SELECT extract(epoch FROM finished_at - completed_at), attempts FROM uploads WHERE id = :u", u=upload["id"]
    )
    assert attempts == 1
    assert took_s < HEAD_START_S
