from typing import Any

import numpy as np
import pytest
from codetect_ingest.children import Children
from codetect_ingest.identities import instance_owner
from codetect_ingest.keys import facility_key
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage, RLELossless

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.dicomweb import Web, parsed, parts
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


def mr(**changes: object) -> Dataset:
    (ds,) = slices(1, Modality="MR", SOPClassUID=MRImageStorage, **changes)
    ds.InstanceNumber = 7
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    return ds


async def test_what_is_kept_is_told_in_searches_and_found_by_its_numbers(web: Web) -> None:
    await wants(web.clinic)
    await store(web.clinic, multipart([written(mr(Manufacturer="MAKER", NumberOfFrames=1))]))
    seeing = web.seeing_identities()
    (found,) = await seeing.found("/instances", InstanceNumber="7", Rows="16", Manufacturer="MAK*")
    assert [found[tag]["Value"] for tag in ("00200013", "00280010", "00280011", "00280100", "00280008")] == [
        [7], [16], [16], [16], [1]
    ]  # fmt: skip
    assert await seeing.found("/instances", InstanceNumber="8") == []
    mine = "SELECT attributes FROM series WHERE kind = 'sealed' AND facility_id = :f"
    ((attributes,),) = await web.clinic.sql(mine, f=web.clinic.facility_id)
    assert "MAKER" not in str(attributes), "what was not cleaned stays sealed"
    assert await web.found("/instances") == []


async def test_odd_numbers_of_a_kept_file_are_left_out(web: Web) -> None:
    await wants(web.clinic)
    ds = mr()
    ds.add_new("InstanceNumber", "IS", "99999999999")
    ds.add_new("NumberOfFrames", "IS", "")
    assert (await store(web.clinic, multipart([written(ds)]))).status_code == 200
    (found,) = await web.seeing_identities().found("/instances")
    assert (found["00200013"], found["00280008"]) == ({"vr": "IS"}, {"vr": "IS"})


async def test_a_kept_file_that_comes_again_in_another_syntax_is_told_in_that(web: Web) -> None:
    await wants(web.clinic)
    ds = mr()
    await store(web.clinic, multipart([written(ds)]))
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.InstanceNumber = 8
    await store(web.clinic, multipart([written(ds)]))
    ((kind, body),) = parts(await web.seeing_identities().get(f"/studies/{ds.StudyInstanceUID}"))
    assert kind.endswith(RLELossless)
    assert parsed(body).file_meta.TransferSyntaxUID == RLELossless
    assert len(await web.seeing_identities().found("/instances", InstanceNumber="8")) == 1


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
async def test_what_is_long_in_a_kept_file_has_an_address_however_deep_it_lies(web: Web, syntax: UID) -> None:
    await wants(web.clinic)
    ds = mr()
    long, inner = np.arange(1500, dtype="<u2").tobytes(), Dataset()
    block = inner.private_block(0x0011, "ACME", create=True)
    block.add_new(1, "OW", long if syntax == ExplicitVRLittleEndian else np.arange(1500, dtype=">u2").tobytes())
    block.add_new(2, "UN", b"short!")
    ds.ReferencedImageSequence, ds.RequestAttributesSequence = [Dataset(), inner], []
    ds.file_meta.TransferSyntaxUID = syntax
    await store(web.clinic, multipart([written(ds)]))
    seeing = web.seeing_identities()
    here = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    (told,) = (await seeing.get(f"{here}/metadata")).json()
    assert told["00400275"] == {"vr": "SQ"}
    item = told["00081140"]["Value"][1]
    assert item["00111002"]["InlineBinary"]
    assert item["00111001"] == {"vr": "OW", "BulkDataURI": f"{web.url}/dicomweb{here}/bulkdata/00081140/2/00111001"}
    ((kind, body),) = parts(await seeing.get(item["00111001"]["BulkDataURI"]))
    assert (kind.partition(";")[0], body) == ("application/octet-stream", long)
    alone = await seeing.get(item["00111001"]["BulkDataURI"], "application/octet-stream")
    assert alone.content == long
    assert (await seeing.get(told["7FE00010"]["BulkDataURI"])).status_code == 200
    for nowhere in ("00081140/3/00111001", "00081140/2/00111003", "00081140/2", "00100010", "00081140/0/00111001", "x"):
        assert (await seeing.get(f"{here}/bulkdata/{nowhere}")).status_code == 404, nowhere
    assert (await seeing.get(item["00111001"]["BulkDataURI"], "image/png")).status_code == 406


async def test_an_element_that_cannot_be_read_costs_itself_alone(web: Web) -> None:
    await wants(web.clinic)
    series = slices(2)
    scout = scout_of(series)
    scout.SmallestImagePixelValue = 0x4142
    scout["SmallestImagePixelValue"].VR = "US"
    data = written(scout).replace(b"\x28\0\x06\x01US\x02\0BA", b"\x28\0\x06\x01US\x03\0BAB")
    assert len(data) == len(written(scout)) + 1
    assert (await store(web.clinic, multipart([*bodies(series), data]))).status_code == 200
    told = (await web.seeing_identities().get(f"/studies/{scout.StudyInstanceUID}/metadata")).json()
    assert len(told) == 3
    (kept,) = [one for one in told if one["00080018"]["Value"] == [scout.SOPInstanceUID]]
    assert (kept["00280106"], kept["00280010"]["Value"]) == ({"vr": "US"}, [16])


async def test_a_file_that_cannot_be_described_is_told_by_what_is_known_of_it(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wants(web.clinic)
    series = slices(2)
    scout = scout_of(series)
    assert (await store(web.clinic, multipart([*bodies(series), written(scout)]))).status_code == 200
    lost: Any = Children(1, timeout_s=0.0)  # no file is read in so short a time
    monkeypatch.setitem(vars(web.clinic.ingest), "viewers", lost)
    try:
        told = (await web.seeing_identities().get(f"/studies/{scout.StudyInstanceUID}/metadata")).json()
    finally:
        lost.close()
    assert len(told) == 3
    (kept,) = [one for one in told if one["00080018"]["Value"] == [scout.SOPInstanceUID]]
    assert (kept["0020000D"]["Value"], kept["00080016"]["Value"]) == ([scout.StudyInstanceUID], [scout.SOPClassUID])
    assert kept["00100020"]["Value"] == [scout.PatientID]


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
