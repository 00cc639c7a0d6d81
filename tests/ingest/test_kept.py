from typing import Any

from codetect_ingest.identities import instance_owner
from codetect_ingest.keys import facility_key
from pydicom.uid import MRImageStorage

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.samples import written
from tests.ingest.test_importer import bodies, received, slices
from tests.ingest.test_stow import multipart, store


async def wants(clinic: Clinic, *, others: str = "keep", profile: str = "seal") -> None:
    await clinic.sql(
        "INSERT INTO facility_settings (facility_id, profile, others, quiet_s) VALUES (:f, :p, :o, 30)",
        f=clinic.facility_id,
        p=profile,
        o=others,
    )


def scout_of(series: list[Any]) -> Any:
    """A localizer in the very series of the slices, as some scanners send it."""
    (scout,) = slices(1, StudyInstanceUID=series[0].StudyInstanceUID, PatientID=series[0].PatientID)
    scout.SeriesInstanceUID, scout.ImageType = series[0].SeriesInstanceUID, ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return scout


async def sealed(clinic: Clinic) -> list[Any]:
    return await clinic.sql(
        "SELECT i.series_id, i.sop_instance_uid, i.key, i.length, s.modality FROM instances i"
        " JOIN series s ON s.id = i.series_id WHERE s.kind = 'sealed' AND i.facility_id = :f",
        f=clinic.facility_id,
    )


async def test_what_is_not_analysed_is_kept_sealed_where_the_facility_wants_it(clinic: Clinic, hands: Hands) -> None:
    await wants(clinic)
    series = slices(2)
    scout = written(scout_of(series))
    upload = await clinic.submit([*bodies(series), scout])
    await hands.run()
    shown = await clinic.show(upload)
    assert [(f["state"], f["code"]) for f in shown["files"]] == [
        ("accepted", None),
        ("accepted", None),
        ("kept", "localizer"),
    ]
    ((series_id, uid, key, length, _),) = await sealed(clinic)
    data = await clinic.ingest.storage.get("studies", key)
    assert len(data) == length
    assert b"Mustermann" not in data
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        facilitys = await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)
    assert facilitys.unseal_bytes(data, instance_owner(series_id, uid)) == scout
    (event,) = await received(clinic)
    assert [one["slices"] for one in event["series"]] == [2]


async def test_by_default_it_is_refused(clinic: Clinic, hands: Hands) -> None:
    series = slices(1)
    upload = await clinic.submit([*bodies(series), written(scout_of(series))])
    await hands.run()
    assert [f["state"] for f in (await clinic.show(upload))["files"]] == ["accepted", "refused"]
    assert await sealed(clinic) == []


async def test_a_facility_that_forgets_keeps_nothing_sealed(clinic: Clinic, hands: Hands) -> None:
    await wants(clinic, profile="forget")
    series = slices(1)
    upload = await clinic.submit([*bodies(series), written(scout_of(series))])
    await hands.run()
    assert [f["state"] for f in (await clinic.show(upload))["files"]] == ["accepted", "refused"]
    assert await sealed(clinic) == []


async def test_an_mr_that_comes_by_stow_is_kept_and_told_as_stored(clinic: Clinic) -> None:
    await wants(clinic)
    (ds,) = slices(1, Modality="MR", SOPClassUID=MRImageStorage)
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    answer = await store(clinic, multipart([written(ds)]))
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["00081199"]["Value"]
    assert item["00081155"]["Value"] == [ds.SOPInstanceUID]
    ((*_, modality),) = await sealed(clinic)
    assert modality == "MR"
    again = await store(clinic, multipart([written(ds)]))
    assert again.status_code == 200
    assert len(await sealed(clinic)) == 1


async def test_one_of_another_patient_is_not_kept(clinic: Clinic, hands: Hands) -> None:
    await wants(clinic)
    series = slices(1)
    await clinic.submit(bodies(series))
    await hands.run()
    scout = scout_of(series)
    scout.PatientID = "SOMEBODY ELSE"
    answer = await store(clinic, multipart([written(scout)]))
    assert answer.status_code == 409
    assert await sealed(clinic) == []


async def test_a_damaged_file_is_never_kept(clinic: Clinic) -> None:
    await wants(clinic)
    (ds,) = slices(1)
    answer = await store(clinic, multipart([written(ds)[:-100], b"MZ" + bytes(300)]))
    assert answer.status_code == 409
    assert await sealed(clinic) == []
