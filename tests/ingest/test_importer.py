import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import zarr
from codetect_ingest.dicom.multiframe import frames_of
from codetect_ingest.dicom.reading import read
from codetect_ingest.importer import Importer, give_up
from codetect_ingest.models import UPLOADS
from codetect_ingest.scratch import PREFIX, forget_scratch
from codetect_ingest.settings import Settings
from codetect_shared.jobs import LeaseLost
from codetect_shared.storage import ObjectMissing, StorageUnavailable
from pydicom.dataset import Dataset
from zarr.storage import ZipStore

from tests.ingest.conftest import Clinic, Hands, new_uids
from tests.ingest.samples import SAMPLE, ct, enhanced, written


def slices(count: int, **changes: object) -> list[Dataset]:
    """A series of small slices, one above the other."""
    uids = new_uids() | changes
    return [
        ct(
            SOPInstanceUID=f"{uids['SeriesInstanceUID'][:50]}.{n}",
            InstanceNumber=n,
            ImagePositionPatient=[0, 0, n * 2.5],
            **uids,
        )
        for n in range(1, count + 1)
    ]


def bodies(*series: list[Dataset]) -> list[bytes]:
    return [written(ds) for one in series for ds in one]


async def received(clinic: Clinic) -> list[dict]:
    return [event.data for event in await clinic.events("study.received")]


async def volume(clinic: Clinic, key: str, folder: Path) -> np.ndarray:
    path = folder / "volume.zip"
    path.write_bytes(await clinic.ingest.storage.get("studies", key))
    with ZipStore(path, mode="r") as store:
        return np.asarray(zarr.open_group(store, mode="r")["hu"][:])


async def test_a_folder_becomes_a_study_told_once_with_all_a_reader_needs(
    clinic: Clinic, hands: Hands, tmp_path: Path
) -> None:
    upload = await clinic.submit(path.read_bytes() for path in sorted(SAMPLE.glob("*.dcm")))
    await hands.run()
    shown = await clinic.show(upload)
    assert (shown["state"], shown["files_done"]) == ("done", 45)
    (study,) = shown["studies"]
    assert study | {"version": 1, "series": 1, "instances": 45} == study
    assert {(f["state"], f["study_id"]) for f in shown["files"]} == {("accepted", study["study_id"])}
    (event,) = await received(clinic)
    (series,) = event["series"]
    assert (series["plane"], series["slices"], series["body_part"]) == ("axial", 45, "CHEST")
    assert event["study_instance_uid"].startswith("2.25.")
    (opened,) = await clinic.events("upload.opened")
    ((sender,),) = await clinic.sql("SELECT created_by FROM uploads WHERE id = :id", id=upload["id"])
    assert event["submitted_by"] == opened.data["submitted_by"] == sender
    manifest = await clinic.manifest(series["manifest_key"])
    assert manifest.slice_spacing_mm == 7.5
    assert [i.position_mm[2] for i in manifest.instances] == sorted(i.position_mm[2] for i in manifest.instances)
    hu = await volume(clinic, series["volume_key"], tmp_path)
    assert hu.shape == (45, 512, 512)
    head = manifest.instances[-1]
    source = pydicom.dcmread(sorted(SAMPLE.glob("*.dcm"))[head.source - 1])
    expected = np.where(source.pixel_array == -2000, -1024, source.pixel_array.astype(int) - 1024)
    assert np.array_equal(hu[-1], expected)
    clean = await clinic.ingest.storage.get("studies", head.key, part=(head.offset, head.length))
    assert pydicom.dcmread(pydicom.filebase.BytesIO(clean)).SOPInstanceUID == head.sop_instance_uid
    types = [e.type.split(".", 1)[1] for e in await clinic.events()]
    assert types == ["upload.opened.v1", "upload.completed.v1", "study.received.v1", "upload.imported.v1"]


async def test_studies_that_share_a_series_uid_are_kept_apart(clinic: Clinic, hands: Hands, tmp_path: Path) -> None:
    one = slices(2)
    other = slices(3, SeriesInstanceUID=one[0].SeriesInstanceUID)
    for number, ds in enumerate(other):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.StudyInstanceUID[:50]}.{number}"
    await clinic.submit(bodies(one, other))
    await hands.run()
    told = await received(clinic)
    assert sorted(series["slices"] for event in told for series in event["series"]) == [2, 3]
    for event in told:
        (series,) = event["series"]
        assert len(await volume(clinic, series["volume_key"], tmp_path)) == series["slices"]


async def test_originals_go_after_the_commit(clinic: Clinic, hands: Hands) -> None:
    await clinic.submit(bodies(slices(2)))
    assert len(await clinic.keys("raw")) == 2
    await hands.run()
    assert await clinic.keys("raw") == []


async def test_every_refused_file_has_its_code_and_the_rest_goes_on(clinic: Clinic, hands: Hands) -> None:
    good = slices(3)
    files = [
        *bodies(good),
        written(good[1]),
        b"no dicom at all, sorry",
        written(good[0])[:-50],
        written(ct(**new_uids(), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])),
        written(ct(**new_uids(), Rows=20)),
    ]
    upload = await clinic.submit(files)
    await hands.run()
    shown = await clinic.show(upload)
    assert shown["state"] == "done"
    assert [f["code"] for f in shown["files"]] == [
        None, None, None, "duplicate", "not_dicom", "truncated", "localizer", "size_mismatch",
    ]  # fmt: skip
    assert all(f["detail"] for f in shown["files"] if f["state"] == "refused")
    (imported,) = await clinic.events("upload.imported")
    assert imported.data["accepted"] == 3
    assert imported.data["refused"]["duplicate"] == 1
    assert not any(key.endswith("000004.dcm") for key in await clinic.keys("studies"))


@pytest.mark.parametrize(
    ("files", "code"),
    [([b"text", b"more text"], "not_dicom"), ([b"text", written(ct())[:-9]], "nothing_accepted")],
)
async def test_an_upload_without_one_good_file_is_refused_with_the_reason(
    clinic: Clinic, hands: Hands, files: list[bytes], code: str
) -> None:
    upload = await clinic.submit(files)
    await hands.run()
    shown = await clinic.show(upload)
    assert (shown["state"], shown["error"]["code"], shown["studies"]) == ("refused", code, [])
    assert (await clinic.events("upload.refused"))[0].data["code"] == code
    assert await received(clinic) == []


async def test_patients_and_studies_of_one_folder_are_told_apart(clinic: Clinic, hands: Hands) -> None:
    one, other = slices(2), slices(3)
    second_series = slices(4, StudyInstanceUID=one[0].StudyInstanceUID, PatientID=one[0].PatientID)
    upload = await clinic.submit(bodies(one, other, second_series))
    await hands.run()
    shown = await clinic.show(upload)
    assert sorted((s["series"], s["instances"]) for s in shown["studies"]) == [(1, 3), (2, 6)]
    assert len(await received(clinic)) == 2


async def test_a_study_that_names_two_patients_is_refused_whole(clinic: Clinic, hands: Hands) -> None:
    mixed, sound = slices(3), slices(2)
    mixed[1].PatientID = "somebody else"
    upload = await clinic.submit(bodies(mixed, sound))
    await hands.run()
    assert [f["code"] for f in (await clinic.show(upload))["files"]] == ["mixed_patients"] * 3 + [None, None]


async def test_a_frame_that_is_sent_by_itself_too_is_the_copy_that_goes(clinic: Clinic, hands: Hands) -> None:
    uids = new_uids()
    whole = written(enhanced(3, **uids))
    second = list(frames_of(read(whole)))[1]
    upload = await clinic.submit([written(ct(SOPInstanceUID=second.SOPInstanceUID, **uids)), whole])
    await hands.run()
    shown = await clinic.show(upload)
    assert [f["code"] for f in shown["files"]] == ["duplicate", None]
    assert (shown["state"], shown["studies"][0]["instances"]) == ("done", 3)


async def test_slices_of_another_patient_never_join_a_known_study(clinic: Clinic, hands: Hands) -> None:
    first = slices(2)
    await clinic.submit(bodies(first))
    await hands.run()
    stranger = slices(2, StudyInstanceUID=first[0].StudyInstanceUID, PatientID="stranger")
    upload = await clinic.submit(bodies(stranger))
    await hands.run()
    shown = await clinic.show(upload)
    assert (shown["state"], shown["error"]["code"]) == ("refused", "mixed_patients")
    assert len(await received(clinic)) == 1


async def test_slices_that_come_later_make_a_new_version_with_all_of_them(
    clinic: Clinic, hands: Hands, tmp_path: Path
) -> None:
    whole = slices(6)
    for n, ds in enumerate(whole):
        ds.PixelData = np.full((16, 16), n * 100, "<i2").tobytes()
    await clinic.submit(bodies(whole[1::2]))
    await hands.run()
    await clinic.submit(bodies(whole[0::2]))
    await hands.run()
    before, after = await received(clinic)
    assert before["study_id"] == after["study_id"]
    assert (before["version"], after["version"]) == (1, 2)
    assert [event["series"][0]["slices"] for event in (before, after)] == [3, 6]
    assert before["series"][0]["series_id"] == after["series"][0]["series_id"]
    hu = await volume(clinic, after["series"][0]["volume_key"], tmp_path)
    assert hu[:, 0, 0].tolist() == [n * 100 - 1024 for n in range(6)]
    manifest = await clinic.manifest(after["series"][0]["manifest_key"])
    assert [i.instance_number for i in manifest.instances] == [1, 2, 3, 4, 5, 6]
    old = await volume(clinic, before["series"][0]["volume_key"], tmp_path)
    assert old.shape[0] == 3


async def test_a_slice_sent_again_replaces_the_one_before_in_the_new_version(
    clinic: Clinic, hands: Hands, tmp_path: Path
) -> None:
    first = slices(3)
    await clinic.submit(bodies(first))
    await hands.run()
    first[1].PixelData = np.full((16, 16), 2024, "<i2").tobytes()
    await clinic.submit(bodies(first[1:2]))
    await hands.run()
    _, after = await received(clinic)
    assert after["series"][0]["slices"] == 3
    hu = await volume(clinic, after["series"][0]["volume_key"], tmp_path)
    assert hu[:, 5, 5].tolist() == [-1024 + 85, 1000, -1024 + 85]


async def test_a_new_version_tells_of_the_series_it_did_not_touch_too(clinic: Clinic, hands: Hands) -> None:
    first = slices(2)
    await clinic.submit(bodies(first))
    await hands.run()
    second = slices(3, StudyInstanceUID=first[0].StudyInstanceUID, PatientID=first[0].PatientID)
    await clinic.submit(bodies(second))
    await hands.run()
    assert sorted(s["slices"] for s in (await received(clinic))[1]["series"]) == [2, 3]
    study_id = (await received(clinic))[1]["study_id"]
    shown = (await clinic.ask("GET", f"/studies/{study_id}")).json()
    assert (shown["version"], sorted(s["slices"] for s in shown["series"])) == (2, [2, 3])


async def test_two_uploads_of_one_study_at_once_lose_nothing(clinic: Clinic, hands: Hands) -> None:
    whole = slices(8)
    for part in (whole[:4], whole[4:]):
        await clinic.submit(bodies(part))
    jobs = [await hands.take(), await hands.take()]
    await asyncio.gather(*(hands.importer.run(job) for job in jobs))
    versions = await received(clinic)
    assert [event["version"] for event in versions] == [1, 2]
    assert versions[1]["series"][0]["slices"] == 8


async def test_a_second_try_writes_the_same_objects_under_a_name_of_its_own(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(3)))
    job = await hands.take()
    await clinic.sql("UPDATE uploads SET fence = fence + 1 WHERE id = :id", id=upload["id"])
    with pytest.raises(LeaseLost):
        await hands.importer.run(job)
    tried = {key: await clinic.ingest.storage.get("studies", key) for key in await clinic.keys("studies")}
    assert {key.split("/")[2] for key in tried} == {f"{job.id}.{job.fence}"}
    assert await received(clinic) == []
    assert len(await clinic.keys("raw")) == 3
    await clinic.sql("UPDATE uploads SET lease_until = NULL WHERE id = :id", id=upload["id"])
    again = await hands.run()
    kept = {key: await clinic.ingest.storage.get("studies", key) for key in await clinic.keys("studies")}
    assert {key.split("/")[2] for key in kept} == {f"{job.id}.{again.fence}"}
    assert {v for k, v in kept.items() if "manifest" not in k} == {v for k, v in tried.items() if "manifest" not in k}
    assert len(await received(clinic)) == 1


async def test_a_file_that_was_replaced_after_complete_is_not_read(clinic: Clinic, hands: Hands) -> None:
    files = dict(enumerate(bodies(slices(2)), 1))
    upload = await clinic.open()
    await clinic.post(upload, files)
    await clinic.complete(upload, files)
    await clinic.post(upload, {1: written(ct(**new_uids())), 3: b"late"})
    await hands.run()
    shown = await clinic.show(upload)
    assert [f["code"] for f in shown["files"]] == ["gone", None]


class Away:
    """An object store that answers some calls only."""

    def __init__(self, storage, missing: str) -> None:
        self._storage, self._missing = storage, missing

    def __getattr__(self, name: str):
        if name == self._missing:

            async def away(*_: object, **__: object) -> None:
                raise StorageUnavailable("gone for lunch")

            return away
        return getattr(self._storage, name)


@pytest.mark.parametrize("missing", ["get", "put", "put_file"])
async def test_while_the_store_is_away_the_upload_waits_and_loses_no_attempt(
    clinic: Clinic, hands: Hands, settings: Settings, missing: str
) -> None:
    upload = await clinic.submit(bodies(slices(2)))
    job = await hands.take()
    away = Away(clinic.ingest.storage, missing)
    await Importer(settings, hands.db, away, hands.importer._children).run(job)
    ((waiting, attempts),) = await clinic.sql(
        "SELECT available_at > clock_timestamp(), attempts FROM uploads WHERE id = :id", id=upload["id"]
    )
    assert (waiting, attempts) == (True, 0)
    await clinic.sql("UPDATE uploads SET available_at = now() WHERE id = :id", id=upload["id"])
    await hands.run()
    assert (await clinic.show(upload))["state"] == "done"


async def test_a_slow_writer_ends_before_its_folder_goes(
    clinic: Clinic, hands: Hands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packs can't be stored while the volume is still being written."""
    ended = []

    def slowly(path: Path, shape: tuple[int, int, int], chunks: Iterable[bytes]) -> tuple[str, int]:
        time.sleep(0.5)
        ended.append(path.write_bytes(b"late"))
        return "", 4

    monkeypatch.setattr("codetect_ingest.assembly.write_volume", slowly)
    await clinic.submit(bodies(slices(2)))
    away = Away(clinic.ingest.storage, "put_file")
    await Importer(settings, hands.db, away, hands.importer._children).run(await hands.take())
    assert (ended, scratch()) == ([4], [])


def scratch() -> list[str]:
    """What lies in this process's scratch folders."""
    folders = Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*")
    return [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]


async def test_after_the_last_attempt_an_upload_says_so_and_keeps_its_originals(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(1)))
    job = await hands.take()
    async with hands.db.facility(job.facility_id) as session:
        await give_up(session, await UPLOADS.settle(session, job), RuntimeError("oops"))
    shown = await clinic.show(upload)
    assert (shown["state"], shown["error"]["code"]) == ("refused", "import_failed")
    assert "oops" not in str(shown)
    assert len(await clinic.keys("raw")) == 1


async def test_no_identity_reaches_events_rows_or_kept_objects(clinic: Clinic, hands: Hands) -> None:
    named = slices(
        2, PatientName="CANARY^NAME", PatientID="CANARYID", AccessionNumber="CANARYACC", StudyID="CANARYSTUDY"
    )
    original = named[0].StudyInstanceUID
    upload = await clinic.submit(bodies(named), reference="CANARYREF")
    await hands.run()
    kept = [await clinic.ingest.storage.get("studies", key) for key in await clinic.keys("studies")]
    rows = [
        await clinic.sql(f"SELECT t::text FROM {table} t WHERE facility_id = :f", f=clinic.facility_id)
        for table in ("uploads", "upload_files", "studies", "series", "instances", "outbox")
    ]
    everything = str(rows) + str(await clinic.show(upload)) + "".join(body.decode("latin-1") for body in kept)
    assert "CANARY" not in everything
    assert original not in everything


async def test_studies_are_listed_newest_first_in_pages(clinic: Clinic, hands: Hands) -> None:
    for _ in range(3):
        await clinic.submit(bodies(slices(1)))
        await hands.run()
    page = (await clinic.ask("GET", "/studies?limit=2")).json()
    rest = (await clinic.ask("GET", f"/studies?limit=2&cursor={page['next']}")).json()
    ids = [study["id"] for study in page["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 3
    assert rest["next"] is None
    assert (await clinic.ask("GET", "/studies?cursor=nonsense")).status_code == 422
    other = clinic.elsewhere()
    assert (await other.ask("GET", "/studies")).json()["items"] == []
    assert (await other.ask("GET", f"/studies/{ids[0]}")).status_code == 404


async def test_studies_are_listed_of_one_patient(clinic: Clinic, hands: Hands) -> None:
    for patient in ("A-1", "A-1", "B-2"):
        await clinic.submit(bodies(slices(1, PatientID=patient)))
        await hands.run()
    every = (await clinic.ask("GET", "/studies")).json()["items"]
    assert len({study["patient_id"] for study in every}) == 2
    for patient, count in Counter(study["patient_id"] for study in every).items():
        found = (await clinic.ask("GET", "/studies", params={"patient_id": patient})).json()["items"]
        assert [study["id"] for study in found] == [study["id"] for study in every if study["patient_id"] == patient]
        assert len(found) == count
        assert (await clinic.elsewhere().ask("GET", "/studies", params={"patient_id": patient})).json()["items"] == []
    assert (await clinic.ask("GET", "/studies", params={"patient_id": "\0"})).status_code == 422
    assert (await clinic.ask("GET", "/studies", params={"patient_id": "A-1"})).json()["items"] == []  # no pseudonym


async def test_progress_is_shown_while_files_are_read(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(300)))
    task, seen = asyncio.create_task(hands.run()), set()
    while not task.done():
        seen.add((await clinic.show(upload))["files_done"])
        await asyncio.sleep(0.1)
    await task
    assert any(0 < done < 300 for done in seen)


async def test_an_object_that_is_missing_is_no_reason_to_wait(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(1)))
    await clinic.ingest.storage.remove("raw", await clinic.keys("raw"))
    await hands.run()
    assert (await clinic.show(upload))["error"]["code"] == "gone"
    with pytest.raises(ObjectMissing):
        await clinic.ingest.storage.get("raw", f"{upload['id']}")


def test_scratch_folders_of_killed_importers_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one with our number, as a container's first process has; not one that a living process holds."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    begin = "import os\nfrom codetect_ingest.scratch import scratch_folder\nwith scratch_folder() as folder:\n    "
    killed, living = begin + "os._exit(0)", begin + "print(folder, flush=True)\n    input()"
    told = {**os.environ, "TMPDIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", killed], env=told, check=False).returncode == 0
    (tmp_path / f"codetect-import-{os.getpid()}-x").mkdir()
    (tmp_path / "other").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", living], env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        held = Path(running.stdout.readline().strip())
        assert len(list(tmp_path.iterdir())) == 6
        forget_scratch()
        assert sorted(tmp_path.iterdir()) == sorted([held, held.with_name(held.name + ".lock"), tmp_path / "other"])
        running.communicate("\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "other"]


async def test_a_series_that_lacks_slices_says_so(clinic: Clinic, hands: Hands) -> None:
    series = slices(6)
    await clinic.submit(bodies(series[:2] + series[4:]))
    await hands.run()
    (event,) = await received(clinic)
    assert event["series"][0]["irregularities"] == {"missing_slices": 2}
